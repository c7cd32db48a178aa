"""A regression's offset and slope at a site, from its own controls; no more than they carry.

With v a head's value and y the truth of n subjects (each the mean of its scans), on a new scan

    agreement   y = v                 the 95 % t-interval of mean(y - v) holds 0
    offset      y = v + a             otherwise
    slope       y = c v + a           where the 95 % t-interval of the least squares b excludes 1,
                                      and subjects left out are told more exactly by it

More exactly: their mean absolute error is less than by an offset, by more than the standard error
of the difference. A squared error alone lets a few far values decide. The slope is tried first:
where it holds, an offset alone is right at one truth only. With s the standard error of b,
c = b max(0, 1 - s^2 / b^2) for b > 0, else 0 (James and Stein's positive part): so few subjects
give a b where there is none. Where c is 0 every answer is the site's mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from training.evidence.conformal import Array

Kind = Literal["agreement", "offset", "slope"]

_TAIL = 0.975  # of a two-sided 95 % interval
_LEAST = 4  # subjects for a slope and its interval


@dataclass(frozen=True)
class Correction:
    """y = slope * v + offset.

    Attributes:
        kind: what the controls carry.
        slope: 1 unless they carry one.
        offset: in the task's unit; 0 in agreement.
        mean_interval: 95 %, of the mean of truth - value.
        slope_interval: 95 %, of the slope; None of too few subjects, or of values all the same.
    """

    kind: Kind
    slope: float
    offset: float
    mean_interval: tuple[float, float]
    slope_interval: tuple[float, float] | None

    def __call__(self, value: float) -> float:
        """What a head's value becomes."""
        return self.slope * value + self.offset


def fit(values: Array, truth: Array) -> Correction:
    """What the subjects carry.

    Args:
        values: (n,) a head's, one per subject.
        truth: (n,).
    """
    count, residual = len(values), truth - values
    mean = float(residual.mean())
    reach = _t(count - 1) * float(residual.std(ddof=1)) / count**0.5
    between = (mean - reach, mean + reach)
    slope, spread = _slope(values, truth)
    if spread is not None and not spread[0] <= 1.0 <= spread[1] and _carries(values, truth):
        slope, offset = _shrunk(values, truth)
        return Correction("slope", slope, offset, between, spread)
    if between[0] <= 0.0 <= between[1]:
        return Correction("agreement", 1.0, 0.0, between, spread)
    return Correction("offset", 1.0, mean, between, spread)


def _shrunk(values: Array, truth: Array) -> tuple[float, float]:
    """c and a; see the module."""
    slope, spread = _slope(values, truth)
    if spread is not None:
        error = (spread[1] - spread[0]) / 2.0 / _t(len(values) - 2)
        slope = max(0.0, slope - error**2 / slope) if slope > 0.0 else 0.0
    return slope, float(truth.mean() - slope * values.mean())


def _carries(values: Array, truth: Array) -> bool:
    """Whether a slope tells those left out more exactly than an offset."""
    count, gain = len(values), []
    for one in range(count):
        rest = np.arange(count) != one
        slope, offset = _shrunk(values[rest], truth[rest])
        by_offset = values[one] + float((truth[rest] - values[rest]).mean())
        by_slope = slope * values[one] + offset
        gain.append(abs(by_offset - truth[one]) - abs(by_slope - truth[one]))
    return float(np.mean(gain)) > float(np.std(gain, ddof=1)) / count**0.5


def _slope(values: Array, truth: Array) -> tuple[float, tuple[float, float] | None]:
    count, around = len(values), values - values.mean()
    total = float(around @ around)
    if count < _LEAST or total <= 1e-12 * float(values @ values):
        return 1.0, None
    slope = float(around @ truth) / total
    left = truth - truth.mean() - slope * around
    reach = _t(count - 2) * float(np.sqrt(left @ left / (count - 2) / total))
    return slope, (slope - reach, slope + reach)


def _t(freedom: int) -> float:
    return float(stats.t.ppf(_TAIL, freedom))
