"""Which encoder, chosen inside each fold: the figures of the whole procedure, choice included.

A head is to answer on scanners that it never saw, and each head is there three times
(`benchmarks.demo.heads`). So in inner folds of the training people a ridge regression on
standardised features is fitted on one rendition, and judged on the two others of those left out: by
its share of explained variance, of age and of sex (as 0 and 1). One encoder serves both tasks: that
one is best which in its worse task falls least behind the best one there. In the dual, with G the
Gram matrix of the standardised features and c the labels less their mean,

    predicted = G_test,train (G + a tr(G)/n I)^-1 c + mean,      the best a of `STRENGTHS`

so a choice costs a few small matrices. What is then judged is `training.probe`'s own head.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import nn

from fmtool.bundle.exposure import Exposure
from fmtool.task import Task
from training import probe
from training.cohort import Cohort
from training.evidence import splits
from training.span import Span

Array = NDArray[np.float64]
Rows = NDArray[np.intp]

STRENGTHS = np.logspace(-3.5, 0.5, 9)
_INNER = 5


@dataclass(frozen=True)
class Contender:
    """An encoder to choose from.

    Attributes:
        name: in words.
        encoder: gridded, in eval mode.
        x: (N, F), its embeddings of the cohort.
        seen: whose images set its weights.
        cells: of its grid, in all.
    """

    name: str
    encoder: nn.Module
    x: Array
    seen: Exposure
    cells: int = 1


def best(candidates: Sequence[Contender], cohorts: Sequence[Cohort[Task]], rows: Rows) -> int:
    """The number of the candidate that does best in inner folds of some rows of all the cohorts."""
    parts = [cohort.take(rows) for cohort in cohorts]
    skill = np.array([_skills(one.x[rows], one.cells, parts) for one in candidates])
    return int(np.argmin((skill.max(axis=0) - skill).max(axis=1)))


def _skills(x: Array, cells: int, cohorts: Sequence[Cohort[Task]]) -> list[float]:
    span = Span.of(x, cells)
    gram, found = span.coordinates @ span.coordinates.T, []
    for cohort in cohorts:
        y, rendition = cohort.labels, np.array([row.image.parent.name for row in cohort.rows])
        left, spread = np.zeros(len(STRENGTHS)), 0.0
        for train, test in splits.by_subject(cohort, _INNER, seed=0):
            for one in np.unique(rendition):
                own, others = train[rendition[train] == one], test[rendition[test] != one]
                left += ((ridge(gram, y, own, others) - y[others]) ** 2).sum(axis=1)
                spread += ((y[others] - y.mean()) ** 2).sum()
        found.append(1.0 - left.min() / spread)
    return found


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
    cohorts: Sequence[Cohort[Task]],
    judged: int,
    seed: int,
    folds: int,
    repeats: int,
) -> tuple[Array, Rows, Counter[str]]:
    """Out-of-fold predictions of one cohort's task, the encoder chosen by the training people.

    Returns:
        (repeats, N) values or logits; (repeats, N) folds; how often each candidate was chosen.
    """
    cohort = cohorts[judged]
    predictions = np.empty((repeats, len(cohort.rows)))
    fold, picked = np.empty(predictions.shape, dtype=np.intp), Counter[str]()
    for r in range(repeats):
        plan = splits.by_subject(cohort, folds, seed + r)
        fold[r] = splits.fold_of(plan, len(cohort.rows))
        for train, test in plan:
            one = candidates[best(candidates, cohorts, train)]
            picked[one.name] += 1
            weight, bias = probe.fit_affine(one.x[train], cohort.take(train), one.cells)
            predictions[r, test] = one.x[test] @ weight + bias
    return predictions, fold, picked


def out_of_fold(x: Array, cohort: Cohort[Task], plan: Sequence[splits.Split]) -> Array:
    """(N,): what a probe of (N, F) features says of those whom it was not fitted on."""
    predicted = np.empty(len(x))
    for train, test in plan:
        weight, bias = probe.fit_affine(x[train], cohort.take(train))
        predicted[test] = x[test] @ weight + bias
    return predicted
