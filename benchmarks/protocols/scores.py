"""From out-of-fold predictions to figures: each with its interval and the baseline beside it.

And bootstrap draws of one or several systems' figures, for what is computed from several of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.protocols.study import Study
from training import evidence
from training.evidence import evaluate

Array = NDArray[np.float64]
Row = dict[str, Any]


def score(
    study: Study, name: str, predictions: Array, baseline: Array, seed: int, **more: Any
) -> Row:
    """A row of a report; scans that no fold tests (NaN) are left out.

    Intervals are 95 % bootstrap percentiles over subjects. "difference" is the value minus the
    baseline's, paired by subject: MAE minus that of the training mean (below zero is better), or
    AUC minus 0.5 (above zero is better).

    Args:
        study: whose labels are the truth.
        predictions: (N,), or (repeats, N), whose figures are averaged.
        baseline: same shape, of the system "mean".
    """
    predictions, baseline = np.atleast_2d(predictions), np.atleast_2d(baseline)
    tested = np.flatnonzero(np.isfinite(predictions).all(axis=0))
    kept = study.take(tested)
    found = evidence.against_mean(kept, predictions[:, tested], baseline[:, tested], seed)
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


def value(study: Study, predictions: Array) -> float:
    """The metric alone: AUC or MAE of (N,) predictions, scans that no fold tests left out."""
    tested = np.isfinite(predictions)
    truth, found = study.labels[tested], predictions[tested]
    return (
        evaluate.mae(truth, found)
        if study.task.kind == "regression"
        else evaluate.auc(truth, found)
    )


def versus(study: Study, predictions: Array, other: Array, seed: int) -> Row:
    """The paired difference of two systems: "versus", its interval, and whether it is a gain.

    Args:
        study: whose labels are the truth.
        predictions: (N,) or (repeats, N).
        other: same shape, of the system that it is compared with.
    """
    predictions, other = np.atleast_2d(predictions), np.atleast_2d(other)
    tested = np.flatnonzero(np.isfinite(predictions + other).all(axis=0))
    kept, ours, theirs = study.take(tested), predictions[:, tested], other[:, tested]
    found = evidence.against_volume(kept, ours, theirs, seed)
    own = evidence.against_volume(kept, theirs, ours, seed)["value"]
    low, high = found["difference_interval"]
    return {
        "versus": own - found["value"],
        "versus_low": low,
        "versus_high": high,
        "versus_better": found["head_is_better"],
    }


def draws(study: Study, predictions: Sequence[Array], seed: int) -> Array:
    """(D, P): MAE or AUC of each of P predictions, in D resamplings of subjects and of repeats.

    Of one draw, all P are of the same subjects; all scans of a drawn subject come along. Where
    predictions are (repeats, N), each draw averages as many repeats, drawn with replacement, so
    that what another training's seed would change is in the spread. NaN: an AUC of one class.

    Args:
        study: whose labels are the truth.
        predictions: each (N,) or (repeats, N), as many repeats for all; scans that any leaves out
            (NaN) are left out.
    """
    stacked = np.stack([np.atleast_2d(one) for one in predictions])
    tested = np.flatnonzero(np.isfinite(stacked).all(axis=(0, 1)))
    names = np.array(study.subjects)[tested]
    rows = [tested[np.flatnonzero(names == name)] for name in np.unique(names)]
    labels, kind = study.labels, study.task.kind
    metric = evaluate.mae if kind == "regression" else evaluate.auc
    rng = np.random.default_rng(seed)
    repeats = int(stacked.shape[1])
    found = np.empty((evaluate.SAMPLES, len(stacked)))
    for d in range(len(found)):
        some = np.concatenate([rows[i] for i in rng.integers(len(rows), size=(len(rows),))])
        chosen = rng.integers(repeats, size=(repeats,))
        for p, one in enumerate(stacked):
            found[d, p] = np.mean([metric(labels[some], one[r, some]) for r in chosen])
    return found


def figure(study: Study, predictions: Array) -> float:
    """The figure itself: the mean over repeats."""
    return float(np.mean([value(study, one) for one in np.atleast_2d(predictions)]))


def interval(values: Array) -> tuple[float, float]:
    """The 95 % percentiles of draws, NaN left out."""
    tail = 100 * (1 - evaluate.LEVEL) / 2
    low, high = np.nanpercentile(values, [tail, 100 - tail])
    return float(low), float(high)
