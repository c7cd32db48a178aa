"""How well a head of several classes does: ROC curves of each class against the rest, and hits.

With z the (N, K) logits and p their softmax, and A_c the AUC of log p_c for class c against all
others, counted within folds (see `evaluate.auc`):

    macro AUC = mean over c of A_c           balanced accuracy = mean over c of the recall of c

A recall is the share of a class's subjects whose likeliest class is theirs. The macro AUC's
standard error is that of its subjects' influences, the mean of the classes' (infinitesimal
jackknife), and no smaller than one class's alone would be with so few subjects; the interval of the
balanced accuracy is made of the recalls' Wilson intervals (Zou and Donner, Statistics in Medicine
2008). Hand and Till (Machine Learning 2001) compare the kinds of averages.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmtool.task import Task
from runtime.trust.multiclass import log_softmax
from training.cohort import Cohort
from training.evidence import evaluate

Array = NDArray[np.float64]
Indices = NDArray[np.intp]


def against_chance(
    cohort: Cohort[Task], predictions: Array, baseline: Array, fold: Indices | None
) -> dict[str, Any]:
    """The macro AUC with its interval, whether it lies above chance, and how often a class is hit.

    Args:
        cohort: of N scans.
        predictions: (repeats, N, K) logits.
        baseline: (repeats, N) the largest class of the training parts.
        fold: (repeats, N) which head each prediction is of; None where one head made all.
    """
    y, subjects = cohort.labels, cohort.subjects
    widened = 1.0 if fold is None else evaluate.SHARED
    value, influence = macro_auc(cohort, predictions, fold)
    spread, _ = evaluate.auc_spread(influence, subjects, y)
    each = people(cohort)
    fewest = min(each)
    low, high = evaluate.auc_interval(value, spread, fewest, sum(each) - fewest, widened)
    return {
        **evaluate.beside_chance("macro AUC", value, low, high),
        **hits(cohort, predictions.argmax(axis=2), baseline, widened),
    }


def macro_auc(
    cohort: Cohort[Task], predictions: Array, fold: Indices | None
) -> tuple[float, Array]:
    """The mean over repeats of one repeat's macro AUC, and each scan's influence on it."""
    y, subjects = cohort.labels, cohort.subjects
    folds: Sequence[Indices | None] = [None] * len(predictions) if fold is None else list(fold)
    values, moved = [], []
    for c in range(predictions.shape[2]):
        own = (y == c).astype(np.float64)
        mass = evaluate.class_masses(subjects, own)
        for logits, at in zip(predictions, folds, strict=True):
            score = log_softmax(logits)[:, c]
            values.append(evaluate.auc(own, score, at, mass))
            moved.append(evaluate.auc_influence(own, score, at, mass))
    return float(np.mean(values)), np.asarray(np.mean(moved, axis=0))


def confusion(cohort: Cohort[Task], told: Array | Indices) -> Array:
    """(K, K): the share of a true class's subjects (rows) that are called each (columns).

    Args:
        cohort: of N scans.
        told: (repeats, N) the class that each is called.
    """
    y, kinds = cohort.labels, len(cohort.task.classes or ())
    mass = evaluate.class_masses(cohort.subjects, y)
    found = np.zeros((kinds, kinds))
    for called in told:
        np.add.at(found, (y.astype(np.intp), called.astype(np.intp)), mass)
    return np.asarray(found / found.sum(axis=1, keepdims=True))


def hits(
    cohort: Cohort[Task], told: Array | Indices, baseline: Array, widened: float
) -> dict[str, Any]:
    """How often each class is told rightly, and all of them.

    Args:
        cohort: of N scans.
        told: (repeats, N) the class that each is called.
        baseline: (repeats, N) the class that knowing nothing of the scan names.
        widened: what standard errors are multiplied by.
    """
    names, table = cohort.task.classes or (), confusion(cohort, told)
    recall, mass = np.diag(table), evaluate.masses(cohort.subjects)
    right, same = (np.mean([one == cohort.labels for one in s], axis=0) for s in (told, baseline))
    each = zip(recall, people(cohort), strict=True)
    ends = [evaluate.share_interval(float(r), n) for r, n in each]
    low, high = np.array(ends).T
    below, above = (
        float(np.sqrt(np.square(off).sum())) / len(names) * widened
        for off in (recall - low, high - recall)
    )
    balanced = float(recall.mean())
    return {
        "balanced_accuracy": {
            "value": balanced,
            "interval": [max(0.0, balanced - below), min(1.0, balanced + above)],
            "majority": 1.0 / len(names),
        },
        "recall": {
            name: {"value": float(r), "interval": list(end)}
            for name, r, end in zip(names, recall, ends, strict=True)
        },
        "confusion": table.tolist(),
        "accuracy": {
            "value": float(np.average(right, weights=mass)),
            "majority": float(np.average(same, weights=mass)),
        },
    }


def people(cohort: Cohort[Task]) -> list[int]:
    """How many subjects each class has."""
    names = np.asarray(cohort.subjects)
    kinds = range(len(cohort.task.classes or ()))
    return [len(np.unique(names[cohort.labels == c])) for c in kinds]
