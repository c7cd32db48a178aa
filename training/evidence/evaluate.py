"""AUC and MAE, with confidence intervals that respect that one subject may have many scans."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Indices = NDArray[np.intp]

SAMPLES = 2000
LEVEL = 0.95


def mae(truth: Array, predicted: Array) -> float:
    """Mean absolute error of (n,) predictions, in the labels' unit."""
    return float(np.abs(truth - predicted).mean())


def auc(truth: Array, score: Array) -> float:
    """Area under the ROC curve: the chance that a 1 scores above a 0, ties counting half.

    Args:
        truth: (n,), 0 or 1.
        score: (n,), larger for 1.

    Returns:
        0 to 1; NaN where only one class is present.
    """
    ones, zeros = score[truth > 0.5], np.sort(score[truth <= 0.5])
    if not ones.size or not zeros.size:
        return float("nan")
    below = np.searchsorted(zeros, ones, "left") + np.searchsorted(zeros, ones, "right")
    return float(below.mean() / (2 * zeros.size))


def interval(
    statistic: Callable[[Indices], float], subjects: Sequence[str], seed: int = 0
) -> tuple[float, float]:
    """The 95 % percentile bootstrap interval of `statistic`, resampling subjects.

    All scans of a drawn subject come along, as often as the subject is drawn.

    Args:
        statistic: from row indices to a number; NaN (an AUC of one class) leaves the draw out.
        subjects: the subject of each row.
        seed: of the resampling.
    """
    names = np.asarray(subjects)
    rows = [np.flatnonzero(names == name) for name in np.unique(names)]
    rng = np.random.default_rng(seed)
    values = []
    for _ in range(SAMPLES):
        drawn = rng.integers(len(rows), size=len(rows))
        values.append(statistic(np.concatenate([rows[i] for i in drawn])))
    tail = 100 * (1 - LEVEL) / 2
    low, high = np.nanpercentile(values, [tail, 100 - tail])
    return float(low), float(high)
