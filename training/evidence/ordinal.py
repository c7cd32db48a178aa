"""How well a head of classes in an order does: whether it orders people, and by how many it errs.

With s the score, c the class that is answered, and y the true one, every subject counting once:

    C-index = P(s > s' | y > y')            MAE = mean of |c - y|, in classes
    quadratic weighted kappa = 1 - mean of (c - y)^2 / (var c + var y + (mean c - mean y)^2)

The C-index is (1 + Somers' D) / 2, counted within folds; chance is one half, and of two classes it
is the AUC (`evaluate.auc`). Its standard error is that of its subjects' influences, the interval
that of an AUC of as many people as would be as sure at chance (Jonckheere, Biometrika 1954, for the
variance there). Kappa (Cohen, Psychological Bulletin 1968) has the interval of its influences.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fmtool.task import Task
from runtime.trust.ordinal import median, median_of
from training.cohort import Cohort
from training.evidence import evaluate, multiclass, probabilities
from training.evidence.evaluate import Array


def against_chance(
    cohort: Cohort[Task],
    predictions: Array,
    baseline: Array,
    c_index: tuple[float, Array],
    widened: float,
) -> dict[str, Any]:
    """The C-index with its interval, whether it lies above chance, and how far the classes are off.

    Args:
        cohort: of N scans.
        predictions: (repeats, N, K - 1) steps.
        baseline: (repeats, N) the median class of the training parts.
        c_index: of the predictions, and each scan's influence on it.
        widened: what standard errors are multiplied by.
    """
    y, subjects = cohort.labels, cohort.subjects
    value, influence = c_index
    spread, _ = evaluate.auc_spread(influence, subjects, y)
    half = _half_as_sure(multiclass.people(cohort))
    low, high = evaluate.auc_interval(value, spread, half, half, widened)
    told = np.stack([answered(steps, cohort) for steps in predictions])
    return {
        **evaluate.beside_chance("C-index", value, low, high),
        "classes_off": _off(cohort, told, baseline, widened),
        "kappa": _kappa(cohort, told, widened),
        **multiclass.hits(cohort, told, baseline, widened),
    }


def answered(steps: Array, cohort: Cohort[Task], seed: int = 0) -> Array:
    """(N,) median classes by thresholds that other subjects' scores calibrate, as at run time.

    A head's own are of the scores of scans that it was fitted on, which lie farther apart than new
    ones': by them most would be called the middle. They serve where subjects are too few.
    """
    chances = probabilities.out_of_fold(steps, cohort, seed)
    if chances is None:
        return median(steps)
    return np.array([median_of(p) for p in chances], dtype=np.float64)


def _off(cohort: Cohort[Task], told: Array, baseline: Array, widened: float) -> dict[str, Any]:
    """The mean absolute error in classes, and that of the median class."""
    subjects, mass = cohort.subjects, evaluate.masses(cohort.subjects)
    error, other = (np.abs(one - cohort.labels).mean(axis=0) for one in (told, baseline))
    between = evaluate.mean_interval(error - other, subjects, widened=widened)
    return {
        "value": float(np.average(error, weights=mass)),
        "interval": list(evaluate.mean_interval(error, subjects, True, widened)),
        "median": float(np.average(other, weights=mass)),
        "difference_interval": list(between),
    }


def _kappa(cohort: Cohort[Task], told: Array, widened: float) -> dict[str, Any]:
    y, mass = cohort.labels, evaluate.masses(cohort.subjects)
    values, moved = [], []
    for c in told:
        off = np.square(c - y)
        level, mean = (float(np.average(one, weights=mass)) for one in (y, c))
        apart = np.square(y) + np.square(c)  # whose mean, less twice both means, is off by chance
        disagree = float(np.average(off, weights=mass))
        by_chance = float(np.average(apart, weights=mass)) - 2.0 * level * mean
        chance = apart - 2.0 * (level * c + mean * y) + 2.0 * level * mean - by_chance
        values.append(1.0 - disagree / by_chance)
        moved.append((disagree - off + disagree / by_chance * chance) / by_chance)
    value, each = float(np.mean(values)), np.mean(moved, axis=0)
    low, high = evaluate.mean_interval(value + each, cohort.subjects, widened=widened)
    return {"value": value, "interval": [max(-1.0, low), min(1.0, high)]}


def _half_as_sure(people: Sequence[int]) -> float:
    """Each of two classes' people whose AUC, at chance, varies as the C-index of these classes.

    Jonckheere's variance of the ordered pairs' count, and (2 m + 1) / (12 m^2) of an AUC's.
    """
    each = np.asarray(people, dtype=np.float64)
    total = each.sum()
    pairs = (total**2 - (each**2).sum()) / 2
    varies = (total**2 * (2 * total + 3) - (each**2 * (2 * each + 3)).sum()) / 72 / pairs**2
    return float((1.0 + np.sqrt(1.0 + 12.0 * varies)) / (12.0 * varies))
