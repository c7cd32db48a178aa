"""From out-of-fold predictions to figures: each with its interval and the baseline beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.protocols.study import Fold, Indices, Plans, Study, fold_of
from training import evidence
from training.evidence import evaluate

Array = NDArray[np.float64]
Row = dict[str, Any]


def score(
    study: Study,
    name: str,
    predictions: Array,
    baseline: Array,
    seed: int,
    plans: Plans = None,
    **more: Any,
) -> Row:
    """A row of a report; scans that no fold tests (NaN) are left out.

    Intervals are 95 % bootstrap percentiles over subjects. "difference" is the value minus the
    baseline's, paired by subject: MAE minus that of the training mean (below zero is better), or
    AUC minus 0.5 (above zero is better).

    Args:
        study: whose labels are the truth.
        name: of the system.
        predictions: (N,), or (repeats, N), whose figures are averaged.
        baseline: same shape, of the system "mean".
        seed: of the bootstrap.
        plans: the cross-validations that predicted; an AUC compares scans within a fold only.
        more: other columns.
    """
    predictions, baseline = np.atleast_2d(predictions), np.atleast_2d(baseline)
    tested = np.flatnonzero(np.isfinite(predictions).all(axis=0))
    kept, fold = study.take(tested), _folds(study, plans, tested)
    found = evidence.against_mean(kept, predictions[:, tested], baseline[:, tested], seed, fold)
    low, high = found["interval"]
    return {
        "system": name,
        "task": study.task.name,
        "metric": found["metric"],
        "unit": found["unit"],
        "value": found["value"],
        "low": low,
        "high": high,
        "baseline": found["baseline"],
        "difference": found["value"] - found["baseline"],
        "difference_low": found["difference_interval"][0],
        "difference_high": found["difference_interval"][1],
        "beats_baseline": found["beats_baseline"],
        "scans": len(tested),
        "subjects": len(set(kept.subjects)),
        "repeats": len(predictions),
        **more,
    }


def value(study: Study, predictions: Array, plan: Sequence[Fold] | None = None) -> float:
    """The metric alone: AUC or MAE of (N,) predictions, scans that no fold tests left out."""
    tested = np.flatnonzero(np.isfinite(predictions))
    truth, found = study.labels[tested], predictions[tested]
    if study.task.kind == "regression":
        return evaluate.mae(truth, found)
    fold = None if plan is None else _folds(study, [plan], tested)
    return evaluate.auc(truth, found, None if fold is None else fold[0])


def versus(study: Study, predictions: Array, other: Array, seed: int, plans: Plans = None) -> Row:
    """The paired difference of two systems: "versus", its interval, and whether it is a gain.

    Args:
        study: whose labels are the truth.
        predictions: (N,) or (repeats, N).
        other: same shape, of the system that it is compared with.
        seed: of the bootstrap.
        plans: the cross-validations that predicted.
    """
    predictions, other = np.atleast_2d(predictions), np.atleast_2d(other)
    tested = np.flatnonzero(np.isfinite(predictions + other).all(axis=0))
    kept, ours, theirs = study.take(tested), predictions[:, tested], other[:, tested]
    fold = _folds(study, plans, tested)
    found = evidence.against_volume(kept, ours, theirs, seed, fold)
    own = evidence.against_volume(kept, theirs, ours, seed, fold)["value"]
    low, high = found["difference_interval"]
    return {
        "versus": own - found["value"],
        "versus_low": low,
        "versus_high": high,
        "versus_better": found["head_is_better"],
    }


def _folds(study: Study, plans: Plans, tested: Indices) -> Indices | None:
    fold = fold_of(study, plans)
    return None if fold is None else fold[:, tested]
