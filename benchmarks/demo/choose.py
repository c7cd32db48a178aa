"""Which channels a head reads, chosen inside each fold: the figures hold the choice, too.

The candidate is taken whose ridge regression on standardised features, in inner folds of the
training people (drawn `_DRAWS` times: candidates lie close), explains the most variance, a class's
as 0 and 1. In the dual, with G the Gram matrix of the standardised features and c the labels less
their mean,

    predicted = G_test,train (G + a tr(G)/n I)^-1 c + mean,      the best a of `STRENGTHS`

so a choice costs a few small matrices. What is then judged is `training.probe`'s own head.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fmtool.task import Task
from training import probe
from training.cohort import Cohort
from training.evidence import splits
from training.span import Span

Array = NDArray[np.float64]
Rows = NDArray[np.intp]

STRENGTHS = np.logspace(-3.5, 0.5, 9)
_INNER, _DRAWS = 5, 3


@dataclass(frozen=True)
class Contender:
    """Channels to choose.

    Attributes:
        name: in words.
        kept: (F,), true of the features of those channels.
    """

    name: str
    kept: NDArray[np.bool_]


def best(
    candidates: Sequence[Contender], x: Array, cells: int, cohort: Cohort[Task], rows: Rows
) -> Contender:
    """The candidate that does best in inner folds of some rows of a cohort.

    Args:
        x: (N, F), the whole cohort's embeddings.
        cells: of each channel.
    """
    part = cohort.take(rows)
    return max(candidates, key=lambda one: _skill(x[np.ix_(rows, one.kept)], cells, part))


def _skill(x: Array, cells: int, cohort: Cohort[Task]) -> float:
    span = Span.of(x, cells)
    gram, y = span.coordinates @ span.coordinates.T, cohort.labels
    left = np.zeros(len(STRENGTHS))
    for seed in range(_DRAWS):
        for train, test in splits.by_subject(cohort, _INNER, seed):
            left += ((ridge(gram, y, train, test) - y[test]) ** 2).sum(axis=1)
    return float(-left.min())


def ridge(gram: Array, y: Array, train: Rows, test: Rows) -> Array:
    """(strengths, tests): ridge regression with an intercept, from the features' products."""
    own, other = gram[np.ix_(train, train)], gram[np.ix_(test, train)]
    centre = own.mean(axis=0)
    own = own - centre - centre[:, None] + centre.mean()
    other = other - other.mean(axis=1, keepdims=True) - centre + centre.mean()
    values, vectors = np.linalg.eigh(own)
    along, mean = vectors.T @ (y[train] - y[train].mean()), y[train].mean()
    penalty = STRENGTHS[:, None] * values.mean()
    found: Array = (along / (np.maximum(values, 0.0) + penalty)) @ (other @ vectors).T + mean
    return found


def nested(
    candidates: Sequence[Contender],
    x: Array,
    cells: int,
    cohort: Cohort[Task],
    seed: int,
    folds: int,
    repeats: int,
) -> tuple[Array, Rows, Counter[str]]:
    """Out-of-fold predictions of a cohort's task, the channels chosen by the training people.

    Returns:
        (repeats, N) values or logits; (repeats, N) folds; how often each candidate was chosen.
    """
    predictions = np.empty((repeats, len(cohort.rows)))
    fold, picked = np.empty(predictions.shape, dtype=np.intp), Counter[str]()
    for r in range(repeats):
        plan = splits.by_subject(cohort, folds, seed + r)
        fold[r] = splits.fold_of(plan, len(cohort.rows))
        for train, test in plan:
            one = best(candidates, x, cells, cohort, train)
            picked[one.name] += 1
            own = x[np.ix_(train, one.kept)]
            weight, bias = probe.fit_affine(own, cohort.take(train), cells)
            predictions[r, test] = x[np.ix_(test, one.kept)] @ weight + bias
    return predictions, fold, picked


def out_of_fold(x: Array, cohort: Cohort[Task], plan: Sequence[splits.Split]) -> Array:
    """(N,): what a probe of (N, F) features says of those whom it was not fitted on."""
    predicted = np.empty(len(x))
    for train, test in plan:
        weight, bias = probe.fit_affine(x[train], cohort.take(train))
        predicted[test] = x[test] @ weight + bias
    return predicted
