"""Difficulty: does the embedding tell how large a regression's error will be?

log |residual| is fitted on the embedding by the probe's own ridge, inside each training part, on
residuals of inner folds. Intervals divided by it are kept only where they come out shorter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from fmtool.task import Task
from runtime.trust.folds import Folds, quantile
from runtime.trust.interval import Difficulty
from training.cohort import Cohort
from training.evidence import splits
from training.evidence.conformal import LEVEL, Array, stored
from training.evidence.head import Linear
from training.evidence.splits import Split

Affine = Callable[[Array, Cohort[Task]], Linear]
"""From a cohort and its embeddings, (N, F), to a head's weight and bias."""

FEWEST = 100
"""Subjects: with fewer, the choice itself would cost coverage (it is made on the same scans)."""

SHORTER = 0.95
"""Normalised intervals must be at most this share of the plain ones' length, on average."""

_INNER = 3


def choose(
    views: Sequence[Array],
    cohort: Cohort[Task],
    plan: Sequence[Split],
    folds: Folds,
    affine: Affine,
) -> tuple[Folds, Difficulty | None]:
    """The folds with normalised residuals and their difficulty, or as they are and None.

    Args:
        views: (N, F) embeddings, as each fold sees them.
        cohort: of a regression.
        plan: of the folds.
        folds: with plain residuals.
        affine: fits a head.
    """
    if folds.subjects < FEWEST - 0.5:
        return folds, None
    difficulty = _fit(views, cohort, plan, affine)
    rows = zip(splits.own(views, folds.fold), folds.fold, strict=True)
    expected = np.array([difficulty(row)[k] for row, k in rows])
    normalised = replace(folds, score=folds.score / expected)
    plain = quantile(folds.score, folds.mass, LEVEL)
    scaled = quantile(normalised.score, folds.mass, LEVEL)
    assert plain is not None  # there are subjects enough for both
    assert scaled is not None
    length = scaled * float(np.average(expected, weights=folds.mass))
    return (normalised, difficulty) if length <= SHORTER * plain else (folds, None)


def _fit(
    views: Sequence[Array], cohort: Cohort[Task], plan: Sequence[Split], affine: Affine
) -> Difficulty:
    """Of each fold, from its training part alone."""
    weights, biases, lows, highs = [], [], [], []
    for view, (train, _) in zip(views, plan, strict=True):
        part, own = view[train], cohort.take(train)
        residual = np.empty(len(part))
        for inner, out in splits.by_subject(own, _INNER, seed=0):
            weight, bias = affine(part[inner], own.take(inner))
            residual[out] = np.abs(own.labels[out] - part[out] @ weight - bias)
        least = 1e-2 * float(residual.mean())  # a residual of zero has no logarithm
        weight, bias = affine(part, own.relabelled(np.log(residual + least)))
        weight = stored(weight)
        fitted = part @ weight + bias
        weights.append(weight)
        biases.append(bias)
        lows.append(fitted.min())
        highs.append(fitted.max())
    return Difficulty(np.array(weights), np.array(biases), np.array(lows), np.array(highs))
