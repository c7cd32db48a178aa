"""Bootstrap draws of one or several systems' figures, for what is computed from several of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.protocols.scores import value
from benchmarks.protocols.study import Study
from training.evidence import evaluate

Array = NDArray[np.float64]


def draws(study: Study, predictions: Sequence[Array], seed: int) -> Array:
    """(D, P): MAE or AUC of each of P predictions, in D resamplings of subjects and of repeats.

    Of one draw, all P are of the same subjects; all scans of a drawn subject come along. Where
    predictions are (repeats, N), each draw averages as many repeats, drawn with replacement, so
    that what another training's seed would change is in the spread. NaN: an AUC of one class.

    Args:
        study: whose labels are the truth.
        predictions: each (N,) or (repeats, N), as many repeats for all; scans that any leaves out
            (NaN) are left out.
        seed: of the resampling.
    """
    stacked = np.stack([np.atleast_2d(one) for one in predictions])
    tested = np.flatnonzero(np.isfinite(stacked).all(axis=(0, 1)))
    names = np.array(study.subjects)[tested]
    rows = [tested[np.flatnonzero(names == name)] for name in np.unique(names)]
    labels, kind = study.labels, study.task.kind
    metric = evaluate.mae if kind == "regression" else evaluate.auc
    rng = np.random.default_rng(seed)
    repeats = int(stacked.shape[1])
    found = np.empty((evaluate.SAMPLES, len(stacked)))
    for d in range(len(found)):
        some = np.concatenate([rows[i] for i in rng.integers(len(rows), size=(len(rows),))])
        chosen = rng.integers(repeats, size=(repeats,))
        for p, one in enumerate(stacked):
            found[d, p] = np.mean([metric(labels[some], one[r, some]) for r in chosen])
    return found


def figure(study: Study, predictions: Array) -> float:
    """The figure itself: the mean over repeats."""
    return float(np.mean([value(study, one) for one in np.atleast_2d(predictions)]))


def interval(values: Array) -> tuple[float, float]:
    """The 95 % percentiles of draws, NaN left out."""
    tail = 100 * (1 - evaluate.LEVEL) / 2
    low, high = np.nanpercentile(values, [tail, 100 - tail])
    return float(low), float(high)
