"""How well out-of-fold predictions do, and whether better than knowing little of the scan.

Predictions are (repeats, N); a figure is the mean over repeats, its interval resamples subjects.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmtool.task import Task
from training.cohort import Cohort
from training.evidence import evaluate

Array = NDArray[np.float64]

CHANCE = 0.5


def against_mean(
    cohort: Cohort[Task], predictions: Array, baseline: Array, seed: int
) -> dict[str, Any]:
    """The metric with its interval, and whether it beats knowing nothing of the scan.

    A regression does if the 95 % interval of (its MAE - the mean's MAE), paired by subject, lies
    below zero; a binary task if the 95 % interval of its AUC lies above chance.
    """
    y, subjects, every = cohort.labels, cohort.subjects, np.arange(len(cohort.rows))
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
    low, high = evaluate.interval(lambda i: _mean_auc(y, predictions, i), subjects, seed)
    return {
        "metric": "AUC",
        "unit": "",
        "value": _mean_auc(y, predictions, every),
        "interval": [low, high],
        "baseline": CHANCE,
        "baseline_name": "chance",
        "difference_interval": [low - CHANCE, high - CHANCE],
        "beats_baseline": low > CHANCE,
    }


def against_volume(
    cohort: Cohort[Task], predictions: Array, alone: Array, seed: int
) -> dict[str, Any]:
    """What brain volume alone achieves in the same folds, and whether the head does better."""
    y, subjects, every = cohort.labels, cohort.subjects, np.arange(len(cohort.rows))
    if cohort.task.kind == "regression":
        error, other = (np.abs(p - y).mean(axis=0) for p in (predictions, alone))
        low, high = evaluate.interval(lambda i: float((error - other)[i].mean()), subjects, seed)
        return {
            "value": float(other.mean()),
            "difference_interval": [low, high],
            "head_is_better": high < 0.0,
        }

    def gain(i: NDArray[np.intp]) -> float:
        return _mean_auc(y, predictions, i) - _mean_auc(y, alone, i)

    low, high = evaluate.interval(gain, subjects, seed)
    return {
        "value": _mean_auc(y, alone, every),
        "difference_interval": [low, high],
        "head_is_better": low > 0.0,
    }


def _mean_auc(y: Array, predictions: Array, rows: NDArray[np.intp]) -> float:
    """The mean over repeats of the AUC of one repeat's out-of-fold predictions."""
    return float(np.mean([evaluate.auc(y[rows], p[rows]) for p in predictions]))
