"""Bootstrap draws of one or several systems' figures, for what is computed from several of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.protocols.scores import value
from benchmarks.protocols.study import Indices, Plans, Study, fold_of
from training.evidence import evaluate

Array = NDArray[np.float64]


def draws(study: Study, predictions: Sequence[Array], seed: int, plans: Plans = None) -> Array:
    """(D, P): MAE or AUC of each of P predictions, in D resamplings of subjects and of repeats.

    Of one draw, all P are of the same subjects; all scans of a drawn subject come along. Where
    predictions are (repeats, N), each draw averages as many repeats, drawn with replacement, so
    that what another training's seed would change is in the spread. NaN: an AUC of one class.

    Args:
        study: whose labels are the truth.
        predictions: each (N,) or (repeats, N), as many repeats for all; scans that any leaves out
            (NaN) are left out.
        seed: of the resampling.
        plans: the cross-validations that predicted; an AUC compares scans within a fold only.
    """
    stacked = np.stack([np.atleast_2d(one) for one in predictions])
    tested = np.flatnonzero(np.isfinite(stacked).all(axis=(0, 1)))
    names = np.array(study.subjects)[tested]
    rows = [tested[np.flatnonzero(names == name)] for name in np.unique(names)]
    labels, regression, fold = study.labels, study.task.kind == "regression", fold_of(study, plans)

    def metric(one: Array, r: int, some: Indices) -> float:
        if regression:
            return evaluate.mae(labels[some], one[r, some])
        return evaluate.auc(labels[some], one[r, some], None if fold is None else fold[r, some])

    rng = np.random.default_rng(seed)
    repeats = int(stacked.shape[1])
    found = np.empty((evaluate.SAMPLES, len(stacked)))
    for d in range(len(found)):
        some = np.concatenate([rows[i] for i in rng.integers(len(rows), size=(len(rows),))])
        chosen = rng.integers(repeats, size=(repeats,))
        for p, one in enumerate(stacked):
            found[d, p] = np.mean([metric(one, r, some) for r in chosen])
    return found


def figure(study: Study, predictions: Array, plans: Plans = None) -> float:
    """The figure itself: the mean over repeats."""
    every = np.atleast_2d(predictions)
    of_each = [None] * len(every) if plans is None else plans
    return float(np.mean([value(study, p, plan) for p, plan in zip(every, of_each, strict=True)]))


def interval(values: Array) -> tuple[float, float]:
    """The 95 % percentiles of draws, NaN left out."""
    tail = 100 * (1 - evaluate.LEVEL) / 2
    low, high = np.nanpercentile(values, [tail, 100 - tail])
    return float(low), float(high)
