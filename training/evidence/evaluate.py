"""AUC and MAE in which every subject counts once, with intervals that say how sure either is.

A subject's scans share a mass of one (of an AUC: within a class). An interval is Student's, of the
subjects' influences on the figure (the infinitesimal jackknife: of an AUC DeLong's variance, for
several scans Obuchowski's), on a scale that keeps it in range and makes
it as skewed as the figure's own spread: see `auc_interval`.

Sources: DeLong et al. 1988, Obuchowski 1997 (both Biometrics), Efron 1982 (SIAM).
`python -m benchmarks.honesty` measures how often the intervals hold the truth.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

Array = NDArray[np.float64]
Indices = NDArray[np.intp]

SAMPLES = 2000
LEVEL = 0.95

SHARED = 1.25
"""Standard errors of cross-validated figures are widened by this: the folds' heads share most of
their training scans, which the spread between subjects does not show. Found by simulation."""

_TRUSTED = (0.95, 2.0)  # of Newcombe's standard error: few subjects may show too little spread


def masses(subjects: Sequence[str]) -> Array:
    """(N,): 1 / the subject's number of scans."""
    _, inverse, counts = np.unique(np.asarray(subjects), return_inverse=True, return_counts=True)
    return np.asarray(1.0 / counts[inverse], dtype=np.float64)


def class_masses(subjects: Sequence[str], labels: Array) -> Array:
    """(N,): 1 / the subject's number of scans in that class."""
    return masses([f"{s} {c}" for s, c in zip(subjects, labels, strict=True)])


def mae(truth: Array, predicted: Array, mass: Array | None = None) -> float:
    """Mean absolute error of (n,) predictions, in the labels' unit; each scan counts its mass."""
    return float(np.average(np.abs(truth - predicted), weights=mass))


def auc(
    truth: Array, score: Array, fold: Indices | None = None, mass: Array | None = None
) -> float:
    """Area under the ROC curve: the chance that a 1 scores above a 0, ties counting half.

    Of more classes, in their order, it is the C-index: the chance that of two of different classes
    the higher one scores higher, which is (1 + Somers' D) / 2 (Harrell et al., JAMA 1982).

    Scores of two models are on two scales. Out-of-fold scores are therefore compared within a fold
    only: pooled, they would order the folds, whose training parts have the more of a class the
    less of it they test, and noise would score below chance.

    Args:
        truth: (n,), 0 or 1; or 0, 1, 2 and so on.
        score: (n,), larger for 1.
        fold: (n,) which model each score is of; one for all where absent.
        mass: (n,) how much each scan counts; all alike where absent.

    Returns:
        0 to 1; NaN where no fold has two classes.
    """
    won, pairs = _won(truth, score, fold, np.ones(len(truth)) if mass is None else mass)
    total = float(pairs.sum())
    return float(won.sum()) / total if total else float("nan")


def auc_influence(truth: Array, score: Array, fold: Indices | None, mass: Array) -> Array:
    """(n,): how much each scan moves the AUC, to first order; see `auc` for the arguments."""
    won, pairs = _won(truth, score, fold, mass)
    total = float(pairs.sum()) / 2  # each pair stands at both of its scans
    return (won - won.sum() / (2 * total) * pairs) / total


def _won(truth: Array, score: Array, fold: Indices | None, mass: Array) -> tuple[Array, Array]:
    """(n,) each: the mass of the pairs that a scan is in, and of those that are ordered rightly."""
    won, pairs = np.zeros(len(truth)), np.zeros(len(truth))
    every = np.zeros(len(truth), dtype=np.intp) if fold is None else fold
    for k in np.unique(every):
        inside = [np.flatnonzero((every == k) & (truth == c)) for c in np.unique(truth)]
        for zeros, ones in combinations(inside, 2):
            for own, others, sign in ((ones, zeros, 1.0), (zeros, ones, -1.0)):
                order = others[np.argsort(sign * score[others], kind="stable")]
                below = np.concatenate([[0.0], np.cumsum(mass[order])])
                at, marks = sign * score[own], sign * score[order]
                ends = [np.searchsorted(marks, at, side) for side in ("left", "right")]
                won[own] += mass[own] * (below[ends[0]] + below[ends[1]]) / 2
                pairs[own] += mass[own] * below[-1]
    return won, pairs


def quantile(freedom: float, comparisons: int = 1) -> float:
    """Student's, for a two-sided 95 % interval; of one of several comparisons, Bonferroni's."""
    return float(student.ppf(1 - (1 - LEVEL) / 2 / comparisons, max(freedom, 1)))


def mean_interval(
    values: Array,
    subjects: Sequence[str],
    log: bool = False,
    widened: float = 1.0,
    comparisons: int = 1,
) -> tuple[float, float]:
    """The 95 % interval of the mean over subjects of the mean over their scans.

    Args:
        values: (n,), one a scan.
        subjects: of each.
        log: of a positive mean, which then stays so.
        widened: what the standard error is multiplied by.
        comparisons: see `quantile`.
    """
    names, inverse = np.unique(np.asarray(subjects), return_inverse=True)
    each = np.bincount(inverse, values * masses(subjects))
    centre, spread = float(each.mean()), float(each.std(ddof=1) / np.sqrt(len(names)))
    reach = widened * spread * quantile(len(names) - 1, comparisons)
    if not log or centre <= 0.0:
        return centre - reach, centre + reach
    return centre * float(np.exp(-reach / centre)), centre * float(np.exp(reach / centre))


def auc_spread(influence: Array, subjects: Sequence[str], labels: Array) -> tuple[float, int]:
    """An AUC's standard error, and its degrees of freedom.

    Args:
        influence: (n,) of each scan; see `auc_influence`.
        subjects: of each scan; all scans of one move together.
        labels: (n,) the class of each.
    """
    names, inverse = np.unique(np.asarray(subjects), return_inverse=True)
    each = np.bincount(inverse, influence)
    inside = [np.bincount(inverse, labels == c) > 0 for c in np.unique(labels)]
    few = np.min([np.where(one, one.sum(), len(names)) for one in inside], axis=0)
    spread = float(np.sqrt(np.sum(each**2 * few / np.maximum(few - 1.0, 1.0))))
    return spread, len(names) - len(inside)


def beside_chance(metric: str, value: float, low: float, high: float) -> dict[str, Any]:
    """An area or index and its interval, of which pairs told by chance have one half."""
    chance = 0.5
    return {
        "metric": metric,
        "unit": "",
        "value": value,
        "interval": [low, high],
        "baseline": chance,
        "baseline_name": "chance",
        "difference_interval": [low - chance, high - chance],
        "beats_baseline": low > chance,
    }


def auc_interval(
    value: float, spread: float, ones: float, zeros: float, widened: float = 1.0
) -> tuple[float, float]:
    """The 95 % interval of an AUC: all AUCs from which `value` is not too many standard errors.

    How the standard error changes with the AUC is Newcombe's ("Confidence intervals for an effect
    size measure based on the Mann-Whitney statistic, part 2", Statistics in Medicine 2006, method
    5), which has a width at an AUC of 1, too; how large it is, the subjects say, within `_TRUSTED`.

    Args:
        value: the AUC.
        spread: its standard error.
        ones: subjects of class 1.
        zeros: subjects of class 0.
        widened: what standard errors are multiplied by.
    """
    at = np.unique([0.0, value, 1.0, *(0.5 + 0.5 * np.tanh(np.linspace(-9.0, 9.0, 4001)))])
    many = (ones + zeros) / 2 - 1
    errors = np.sqrt(
        at * (1 - at) * (1 + many * ((1 - at) / (2 - at) + at / (1 + at))) / (ones * zeros)
    )
    own = float(errors[np.searchsorted(at, value)])
    scale = float(np.clip(spread / own, *_TRUSTED)) if 0.0 < value < 1.0 else 1.0
    reach = widened * scale * quantile(ones + zeros - 2)
    inside = at[np.abs(at - value) <= reach * errors]
    return min(value, float(inside[0])), max(value, float(inside[-1]))


def share_interval(share: float, subjects: int) -> tuple[float, float]:
    """The 95 % interval of a share of subjects (Wilson, JASA 1927, with Student's quantile)."""
    z = quantile(subjects - 1)
    centre = (share + z * z / (2 * subjects)) / (1 + z * z / subjects)
    spread = np.sqrt(share * (1 - share) / subjects + z * z / (4 * subjects**2))
    half = float(z * spread / (1 + z * z / subjects))
    return max(0.0, centre - half), min(1.0, centre + half)


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
