"""How well out-of-fold predictions do, and whether better than knowing little of the scan.

Predictions are (repeats, N); a figure is the mean over repeats, and every subject counts once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmtool.errors import InputError
from fmtool.task import Task
from training.cohort import Cohort
from training.evidence import evaluate, multiclass, ordinal

Array = NDArray[np.float64]
Indices = NDArray[np.intp]


FEWEST = 12
"""Subjects behind any figure, half of them in each class: with fewer, noise beats a baseline."""


def check_enough(cohort: Cohort[Task], what: str) -> None:
    """Refuse people who are too few to judge a head by.

    Args:
        cohort: whom it would be judged by.
        what: it is, such as "a probe".

    Raises:
        InputError: for too few subjects, in all or of one class, naming how many are needed.
    """
    y, names, task = cohort.labels, np.asarray(cohort.subjects), cohort.task
    kinds = [("", len(set(names)), FEWEST)]
    for value, name in enumerate(task.classes or ()):
        kinds.append((f" of class {name}", len(set(names[y == value])), FEWEST // 2))
    for kind, count, needed in kinds:
        if count < needed:
            raise InputError(
                f"{count} subjects{kind} are too few for {what} of {task.name}; {needed} are needed"
            )
    if len(np.unique(y)) < 2:
        raise InputError(f"all labels of {task.name} are the same: there is nothing to learn")


def constant(cohort: Cohort[Task]) -> float:
    """The one answer that is best for everybody: the median, which MAE asks for (of classes in an
    order the lower of two), a share of class 1, or the largest class of several."""
    y, mass = cohort.labels, evaluate.masses(cohort.subjects)
    if cohort.task.kind == "binary":
        return float(np.average(y, weights=mass))
    if cohort.task.kind == "multiclass":
        return float(np.bincount(y.astype(np.intp), mass).argmax())
    order = np.argsort(y, kind="stable")
    reached, half = np.cumsum(mass[order]), mass.sum() / 2
    ends = [np.searchsorted(reached, half + slack) for slack in (-1e-9, 1e-9)]
    middle = y[order][np.minimum(ends, len(y) - 1)]
    return float(middle.min() if cohort.task.kind == "ordinal" else middle.mean())


def against_constant(
    cohort: Cohort[Task], predictions: Array, baseline: Array, fold: Indices | None = None
) -> dict[str, Any]:
    """The metric with its interval, and whether it beats knowing nothing of the scan.

    A regression does if the 95 % interval of (its MAE - the constant's MAE), paired by subject,
    lies below zero; a task of classes if the 95 % interval of its AUC, macro AUC or C-index lies
    above chance.

    Args:
        cohort: of N scans.
        predictions: (repeats, N) values or logits; (repeats, N, K) of a multiclass task, or of an
            ordinal one's K steps.
        baseline: (repeats, N) what `constant` of the training parts says.
        fold: (repeats, N) which head each prediction is of; None where one head made all.
    """
    y, subjects = cohort.labels, cohort.subjects
    widened = 1.0 if fold is None else evaluate.SHARED
    if cohort.task.kind == "multiclass":
        return multiclass.against_chance(cohort, predictions, baseline, fold)
    if cohort.task.kind == "ordinal":
        found = _auc(cohort, predictions, fold)
        return ordinal.against_chance(cohort, predictions, baseline, found, widened)
    if cohort.task.kind == "regression":
        mass = evaluate.masses(subjects)
        error, other = (np.abs(p - y).mean(axis=0) for p in (predictions, baseline))
        low, high = evaluate.mean_interval(error, subjects, True, widened)
        difference = evaluate.mean_interval(error - other, subjects, widened=widened)
        return {
            "metric": "MAE",
            "unit": cohort.task.unit,
            "value": float(np.average(error, weights=mass)),
            "interval": [low, high],
            "baseline": float(np.average(other, weights=mass)),
            "baseline_name": "median of the training folds",
            "difference_interval": list(difference),
            "beats_baseline": difference[1] < 0.0,
            "residual_sd": float(
                np.sqrt(np.average(((predictions - y) ** 2).mean(axis=0), weights=mass))
            ),
        }
    value, influence = _auc(cohort, predictions, fold)
    spread, _ = evaluate.auc_spread(influence, subjects, y)
    ones, zeros = (len(set(cohort.take(np.flatnonzero(y == c)).subjects)) for c in (1.0, 0.0))
    low, high = evaluate.auc_interval(value, spread, ones, zeros, widened)
    return evaluate.beside_chance("AUC", value, low, high)


def against_rival(
    cohort: Cohort[Task], predictions: Array, rival: Array | None, fold: Indices | None = None
) -> dict[str, Any] | None:
    """What another model achieves in the same folds, and whether the head does better.

    Args:
        cohort: of N scans.
        predictions: (repeats, N) values or logits; see `against_constant`.
        rival: the other's, likewise: of brain volume alone, or of the smoothed scan; None, and then
            the answer is, where it was not measured. In place of steps a score does.
        fold: see `against_constant`.
    """
    if rival is None:
        return None
    _, low, high = difference(cohort, predictions, rival, fold)
    return {
        "value": figure(cohort, rival, fold),
        "difference_interval": [low, high],
        "head_is_better": high < 0.0 if cohort.task.kind == "regression" else low > 0.0,
    }


def difference(
    cohort: Cohort[Task],
    predictions: Array,
    other: Array,
    fold: Indices | None = None,
    comparisons: int = 1,
) -> tuple[float, float, float]:
    """The figure of one minus that of the other, and its 95 % interval, paired by subject.

    Args:
        cohort: of N scans.
        predictions: (repeats, N).
        other: (repeats, N).
        fold: see `against_constant`.
        comparisons: among how many this is one; all their intervals hold at once (Bonferroni).
    """
    y, subjects = cohort.labels, cohort.subjects
    widened = 1.0 if fold is None else evaluate.SHARED
    value = figure(cohort, predictions, fold) - figure(cohort, other, fold)
    if cohort.task.kind == "regression":
        one, two = (np.abs(p - y).mean(axis=0) for p in (predictions, other))
        low, high = evaluate.mean_interval(one - two, subjects, False, widened, comparisons)
        return value, low, high
    moved = _auc(cohort, predictions, fold)[1] - _auc(cohort, other, fold)[1]
    spread, freedom = evaluate.auc_spread(moved, subjects, y)
    reach = widened * spread * evaluate.quantile(freedom, comparisons)
    return value, value - reach, value + reach


def figure(cohort: Cohort[Task], predictions: Array, fold: Indices | None = None) -> float:
    """The MAE, AUC, macro AUC or C-index, the mean over repeats; every subject counts once.

    Args:
        cohort: of N scans.
        predictions: (repeats, N).
        fold: see `against_constant`.
    """
    if cohort.task.kind != "regression":
        return _auc(cohort, predictions, fold)[0]
    mass = evaluate.masses(cohort.subjects)
    return float(np.mean([evaluate.mae(cohort.labels, p, mass) for p in predictions]))


def _auc(cohort: Cohort[Task], predictions: Array, fold: Indices | None) -> tuple[float, Array]:
    """The mean over repeats of one repeat's AUC, and of each scan's influence on it."""
    if cohort.task.kind == "multiclass":
        return multiclass.macro_auc(cohort, predictions, fold)
    y = cohort.labels
    if predictions.ndim > 2:  # of classes in an order: the score is the steps' mean
        predictions = predictions.mean(axis=2)
    mass = evaluate.class_masses(cohort.subjects, y)
    folds: Sequence[Indices | None] = [None] * len(predictions) if fold is None else list(fold)
    each = list(zip(predictions, folds, strict=True))
    values = [evaluate.auc(y, p, f, mass) for p, f in each]
    moved = [evaluate.auc_influence(y, p, f, mass) for p, f in each]
    return float(np.mean(values)), np.mean(moved, axis=0)
