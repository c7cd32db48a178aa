"""Regression to the mean: out-of-fold values fitted on the truth, value = intercept + slope truth.

A head that is unsure predicts closer to the mean than the truth is: the young too old, the old
too young (Cole et al. 2018, de Lange and Cole 2020). Dividing by the slope undoes that on average,
needs no truth at run time, and scatters the values more: how much, `error` says.
"""

from __future__ import annotations

import numpy as np

from fmtool.task import Task
from runtime.trust import Tendency
from training.cohort import Cohort
from training.evidence import evaluate, splits
from training.evidence.evaluate import Array, masses

LEAST_SLOPE = 0.25
"""The lower 95 % bound of a slope that is divided by: below, noise would be blown up fourfold."""


_FOLDS = 5


def fit(cohort: Cohort[Task], predictions: Array, seed: int) -> Tendency | None:
    """The tendency; None of a head whose values do not follow the truth closely enough.

    Args:
        cohort: of a regression.
        predictions: (repeats, N) out-of-fold.
        seed: of the bootstrap over subjects.
    """
    y, mean, mass = cohort.labels, predictions.mean(axis=0), masses(cohort.subjects)
    if len(np.unique(y)) < 2:
        return None

    def slope(rows: evaluate.Indices) -> float:
        return _line(y[rows], mean[rows], mass[rows])[0]

    low, _ = evaluate.interval(slope, cohort.subjects, seed)
    return Tendency(*_line(y, mean, mass)) if low >= LEAST_SLOPE else None


def error(cohort: Cohort[Task], predictions: Array, reach: Array, seed: int) -> float | None:
    """The MAE of corrected values, each by a line fitted on other subjects; None of too few.

    Args:
        cohort: of a regression.
        predictions: (repeats, N) out-of-fold.
        reach: (N,) how far the corrected value may lie from the value: half the interval's width.
        seed: of the folds.
    """
    y, mean, mass = cohort.labels, predictions.mean(axis=0), masses(cohort.subjects)
    if len(set(cohort.subjects)) < 2 * _FOLDS:
        return None
    corrected = np.empty(len(y))
    for train, test in splits.by_subject(cohort, _FOLDS, seed):
        slope, intercept = _line(y[train], mean[train], mass[train])
        corrected[test] = (mean[test] - intercept) / slope
    low, high = cohort.task.valid_range or (-np.inf, np.inf)
    kept = np.clip(np.clip(corrected, mean - reach, mean + reach), low, high)
    return evaluate.mae(y, kept, mass)


def _line(y: Array, value: Array, mass: Array) -> tuple[float, float]:
    centre, level = np.average(y, weights=mass), np.average(value, weights=mass)
    spread = float(np.average((y - centre) ** 2, weights=mass))
    if spread == 0.0:
        return float("nan"), float("nan")
    slope = float(np.average((y - centre) * (value - level), weights=mass)) / spread
    return slope, float(level - slope * centre)
