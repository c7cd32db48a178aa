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


def auc(truth: Array, score: Array, fold: Indices | None = None) -> float:
    """Area under the ROC curve: the chance that a 1 scores above a 0, ties counting half.

    Scores of two models are on two scales. Out-of-fold scores are therefore compared within a fold
    only: pooled, they would order the folds, whose training parts have the more of a class the
    less of it they test, and noise would score below chance.

    Args:
        truth: (n,), 0 or 1.
        score: (n,), larger for 1.
        fold: (n,) which model each score is of; one for all where absent.

    Returns:
        0 to 1; NaN where no fold has both classes.
    """
    won = pairs = 0.0
    for k in (None,) if fold is None else np.unique(fold):
        y, s = (truth, score) if k is None else (truth[fold == k], score[fold == k])
        ones, zeros = s[y > 0.5], np.sort(s[y <= 0.5])
        below = np.searchsorted(zeros, ones, "left") + np.searchsorted(zeros, ones, "right")
        won += float(below.sum()) / 2
        pairs += ones.size * zeros.size
    return won / pairs if pairs else float("nan")


def auc_limits(value: float, ones: int, zeros: int) -> tuple[float, float]:
    """The AUCs from which `value` is within 1.96 standard errors; of some width even at 1.

    Source: Newcombe, "Confidence intervals for an effect size measure based on the Mann-Whitney
    statistic, part 2" (Statistics in Medicine 2006), method 5.

    Args:
        value: an AUC.
        ones: subjects of class 1.
        zeros: subjects of class 0.
    """
    at = np.linspace(0.0, 1.0, 10_001)
    many = (ones + zeros) / 2 - 1
    spread = at * (1 - at) * (1 + many * ((1 - at) / (2 - at) + at / (1 + at))) / (ones * zeros)
    inside = at[np.abs(at - value) <= 1.96 * np.sqrt(spread) + 1e-4]
    return float(inside[0]), float(inside[-1])


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
