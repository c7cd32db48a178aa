"""How well out-of-fold predictions do, and whether better than knowing little of the scan.

Predictions are (repeats, N); a figure is the mean over repeats. Its interval resamples subjects;
that of an AUC one of the repeats, too: whom the heads were fitted on is chance, which the mean over
repeats hides. It is never narrower than what so few subjects can tell of an AUC.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmtool.task import Task
from training.cohort import Cohort
from training.evidence import evaluate

Array = NDArray[np.float64]
Indices = NDArray[np.intp]

CHANCE = 0.5


def against_mean(
    cohort: Cohort[Task],
    predictions: Array,
    baseline: Array,
    seed: int,
    fold: Indices | None = None,
) -> dict[str, Any]:
    """The metric with its interval, and whether it beats knowing nothing of the scan.

    A regression does if the 95 % interval of (its MAE - the mean's MAE), paired by subject, lies
    below zero; a binary task if the 95 % interval of its AUC lies above chance.
    """
    y, subjects = cohort.labels, cohort.subjects
    if cohort.task.kind == "regression":
        error = np.abs(predictions - y).mean(axis=0)
        excess = error - np.abs(baseline - y).mean(axis=0)
        difference = evaluate.interval(lambda i: float(excess[i].mean()), subjects, seed)
        return {
            "metric": "MAE",
            "unit": cohort.task.unit,
            "value": float(error.mean()),
            "interval": list(evaluate.interval(lambda i: float(error[i].mean()), subjects, seed)),
            "baseline": float(np.abs(baseline - y).mean()),
            "baseline_name": "mean of the training folds",
            "difference_interval": list(difference),
            "beats_baseline": difference[1] < 0.0,
            "residual_sd": float(np.sqrt(((predictions - y) ** 2).mean())),
        }
    low, high = evaluate.interval(_drawn_auc(y, fold, seed, predictions), subjects, seed)
    value = _mean_auc(y, predictions, fold)
    counts = [len(set(cohort.take(np.flatnonzero(y == c)).subjects)) for c in (1.0, 0.0)]
    least, most = evaluate.auc_limits(value, *counts)
    low, high = min(low, least), max(high, most)
    return {
        "metric": "AUC",
        "unit": "",
        "value": value,
        "interval": [low, high],
        "baseline": CHANCE,
        "baseline_name": "chance",
        "difference_interval": [low - CHANCE, high - CHANCE],
        "beats_baseline": low > CHANCE,
    }


def against_volume(
    cohort: Cohort[Task],
    predictions: Array,
    alone: Array,
    seed: int,
    fold: Indices | None = None,
) -> dict[str, Any]:
    """What brain volume alone achieves in the same folds, and whether the head does better."""
    y, subjects = cohort.labels, cohort.subjects
    if cohort.task.kind == "regression":
        error, other = (np.abs(p - y).mean(axis=0) for p in (predictions, alone))
        low, high = evaluate.interval(lambda i: float((error - other)[i].mean()), subjects, seed)
        return {
            "value": float(other.mean()),
            "difference_interval": [low, high],
            "head_is_better": high < 0.0,
        }

    low, high = evaluate.interval(_drawn_auc(y, fold, seed, predictions, alone), subjects, seed)
    return {
        "value": _mean_auc(y, alone, fold),
        "difference_interval": [low, high],
        "head_is_better": low > 0.0,
    }


def _mean_auc(y: Array, predictions: Array, fold: Indices | None) -> float:
    """The mean over repeats of the AUC of one repeat's predictions."""
    folds = [None] * len(predictions) if fold is None else list(fold)
    return float(np.mean([evaluate.auc(y, p, f) for p, f in zip(predictions, folds, strict=True)]))


def _drawn_auc(
    y: Array, fold: Indices | None, seed: int, predictions: Array, other: Array | None = None
) -> Callable[[Indices], float]:
    """The AUC of drawn rows in one repeat, drawn too; minus that of `other`, if there is one."""
    rng = np.random.default_rng([seed, len(predictions)])

    def drawn(rows: Indices) -> float:
        r = int(rng.integers(len(predictions)))
        f = None if fold is None else fold[r, rows]
        found = evaluate.auc(y[rows], predictions[r, rows], f)
        return found if other is None else found - evaluate.auc(y[rows], other[r, rows], f)

    return drawn
