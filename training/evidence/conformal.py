"""What intervals and prediction sets are made of: residuals or logits of heads that never saw them.

CV+ over subjects (Barber et al. 2021, arXiv 1905.02928): the heads of one cross-validation are kept
with the score of each scan under the head that had not seen its subject; `runtime.trust`'s
`interval` and `classes` evaluate them. Subjects, not scans, are exchangeable: each has a mass of
one, shared by its scans (Lee, Barber and Willett, arXiv 2306.06342).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fmtool.task import Task
from runtime.trust import multiclass, ordinal
from runtime.trust.folds import Folds
from training.cohort import Cohort
from training.evidence.evaluate import masses
from training.evidence.splits import Split, fold_of

Array = NDArray[np.float64]

LEVEL = 0.9


def folds_of(
    x: Array,
    cohort: Cohort[Task],
    plan: Sequence[Split],
    weights: Array,
    biases: Array,
    slopes: Array | None = None,
) -> Folds:
    """The folds of a cross-validation.

    Args:
        x: (N, F) embeddings.
        cohort: a regression's scores are absolute residuals, a binary task's are logits, those of
            several classes each scan's strangeness in its own.
        plan: K splits whose test parts hold every row once.
        weights: (K, F) of the heads fitted on the plan's training parts, (K, C, F) of C classes;
            (1, F) with slopes.
        biases: (K,), or (K, C); (K, C) of C steps between classes in an order.
        slopes: (K,) of one head that each training part moved; None of heads fitted anew.
    """
    fold = fold_of(plan, len(x))
    if slopes is None:
        score = out_of_fold(x, weights, biases, fold)
    else:
        score = slopes[fold] * (x @ weights[0]) + biases[fold]
    if cohort.task.kind == "regression":
        score = np.abs(cohort.labels - score)
    elif cohort.task.several:
        several = ordinal if cohort.task.kind == "ordinal" else multiclass
        score = several.strangeness(score)[np.arange(len(x)), cohort.labels.astype(np.intp)]
    return Folds(weights, biases, fold, score, masses(cohort.subjects), slopes)


def stored(weights: Array) -> Array:
    """Weights with the seven digits that they are kept with: of many features, half the file."""
    return np.char.mod("%.7g", weights).astype(np.float64)


def out_of_fold(x: Array, weights: Array, biases: Array, fold: NDArray[np.intp]) -> Array:
    """(N,) or (N, C): what each scan's own head of the folds says of it."""
    found = np.empty((len(x), *biases.shape[1:]))
    for k in np.unique(fold):
        own = fold == k
        found[own] = said(x[own], weights[k], biases[k])
    return found


def said(x: Array, weight: Array, bias: float | Array) -> Array:
    """(N,) or (N, C): one head's outputs; of an ordinal one its steps."""
    found = x @ weight.T
    return found[:, None] + bias if np.ndim(bias) > weight.ndim - 1 else found + bias


def guarantee(level: float, subjects: int, folds: int) -> float:
    """The coverage that holds whatever the data and the head, if subjects are exchangeable.

    One fold is split conformal, whose level holds itself. CV+ is proven for twice the error and a
    remainder (Barber et al. 2021, theorem 4), and found near its level in practice.
    """
    if folds == 1:
        return level
    share = subjects / folds
    remainder = min(2 * (1 - 1 / folds) / (share + 1), (1 - folds / subjects) / (folds + 1))
    return max(0.0, 1.0 - 2 * (1.0 - level) - remainder)
