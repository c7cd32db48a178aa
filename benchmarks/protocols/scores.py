"""From out-of-fold predictions to figures: each with its interval and the baseline beside it.

And bootstrap draws of one or several systems' figures, for what is computed from several of them.
"""

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
    plans: Plans = None,
    **more: Any,
) -> Row:
    """A row of a report; scans that no fold tests (NaN) are left out.

    Every subject counts once; intervals are those of `training.evidence`. "difference" is the value
    minus the baseline's, paired by subject: MAE minus that of the training median (below zero is
    better), or AUC minus 0.5 (above zero is better).

    Args:
        study: whose labels are the truth.
        predictions: (N,), or (repeats, N), whose figures are averaged.
        baseline: same shape, of the system "constant".
        plans: the cross-validations that predicted; an AUC compares scans within a fold only.
        more: other columns.
    """
    predictions, baseline = np.atleast_2d(predictions), np.atleast_2d(baseline)
    tested = np.flatnonzero(np.isfinite(predictions).all(axis=0))
    kept, fold = study.take(tested), _folds(study, plans, tested)
    found = evidence.against_constant(kept, predictions[:, tested], baseline[:, tested], fold)
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
    fold = None if plan is None else _folds(study, [plan], tested)
    return evidence.figure(study.take(tested), predictions[None, tested], fold)


def versus(
    study: Study, predictions: Array, other: Array, plans: Plans = None, comparisons: int = 1
) -> Row:
    """The paired difference of two systems: "versus", its interval, and whether it is a gain.

    Args:
        study: whose labels are the truth.
        predictions: (N,) or (repeats, N).
        other: same shape, of the system that it is compared with.
        plans: the cross-validations that predicted.
        comparisons: how many such differences a table holds; their intervals hold all at once.
    """
    predictions, other = np.atleast_2d(predictions), np.atleast_2d(other)
    tested = np.flatnonzero(np.isfinite(predictions + other).all(axis=0))
    kept, ours, theirs = study.take(tested), predictions[:, tested], other[:, tested]
    fold = _folds(study, plans, tested)
    found, low, high = evidence.difference(kept, ours, theirs, fold, comparisons)
    better = high < 0.0 if study.task.kind == "regression" else low > 0.0
    return {"versus": found, "versus_low": low, "versus_high": high, "versus_better": better}


def draws(study: Study, predictions: Sequence[Array], seed: int, plans: Plans = None) -> Array:
    """(D, P): MAE or AUC of each of P predictions, in D resamplings of subjects and of repeats.

    Of one draw, all P are of the same subjects; all scans of a drawn subject come along. Where
    predictions are (repeats, N), each draw averages as many repeats, drawn with replacement, so
    that what another training's seed would change is in the spread. NaN: an AUC of one class.

    Args:
        study: whose labels are the truth.
        predictions: each (N,) or (repeats, N), as many repeats for all; scans that any leaves out
            (NaN) are left out.
        seed: of the resampling.
        plans: the cross-validations that predicted; an AUC compares scans within a fold only.
    """
    stacked = np.stack([np.atleast_2d(one) for one in predictions])
    tested = np.flatnonzero(np.isfinite(stacked).all(axis=(0, 1)))
    names = np.array(study.subjects)[tested]
    rows = [tested[np.flatnonzero(names == name)] for name in np.unique(names)]
    labels, regression, fold = study.labels, study.task.kind == "regression", fold_of(study, plans)
    whom = study.subjects
    mass = evaluate.masses(whom) if regression else evaluate.class_masses(whom, labels)

    def metric(one: Array, r: int, some: Indices) -> float:
        if regression:
            return evaluate.mae(labels[some], one[r, some], mass[some])
        of = None if fold is None else fold[r, some]
        return evaluate.auc(labels[some], one[r, some], of, mass[some])

    rng = np.random.default_rng(seed)
    repeats = int(stacked.shape[1])
    found = np.empty((evaluate.SAMPLES, len(stacked)))
    for d in range(len(found)):
        some = np.concatenate([rows[i] for i in rng.integers(len(rows), size=(len(rows),))])
        chosen = rng.integers(repeats, size=(repeats,))
        for p, one in enumerate(stacked):
            found[d, p] = np.mean([metric(one, r, some) for r in chosen])
    return found


def figure(study: Study, predictions: Array, plans: Plans = None) -> float:
    """The figure itself: the mean over repeats."""
    every = np.atleast_2d(predictions)
    of_each = [None] * len(every) if plans is None else plans
    return float(np.mean([value(study, p, plan) for p, plan in zip(every, of_each, strict=True)]))


def interval(values: Array) -> tuple[float, float]:
    """The 95 % percentiles of draws, NaN left out."""
    tail = 100 * (1 - evaluate.LEVEL) / 2
    low, high = np.nanpercentile(values, [tail, 100 - tail])
    return float(low), float(high)


def _folds(study: Study, plans: Plans, tested: Indices) -> Indices | None:
    fold = fold_of(study, plans)
    return None if fold is None else fold[:, tested]
