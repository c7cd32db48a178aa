"""A regression's line at a site, from its own controls; no more of it than they carry.

With v a head's value and y the truth of n subjects (each the mean of its scans), b and a of

    y = v + a + b (v - mean(v))     by least squares,     F the statistic of a = b = 0,

a new value is moved by max(0, 1 - 1/F) of that line. It is the empirical Bayes estimate (James and
Stein's positive part): where F is large the line stands, where it is what chance gives the head is
left alone. Taking a line whole or not at all, by a test, errs more. The controls'
agreement with the head is tested beside it, and told; b is held at -1, at which every value is the
site's mean.
"""

from __future__ import annotations

from dataclasses import dataclass

from scipy import stats

from training.evidence.conformal import Array

_TAIL = 0.975  # of a two-sided 95 % interval
_LEAST = 4  # subjects for a slope and its interval


@dataclass(frozen=True)
class Correction:
    """y = slope * v + offset.

    Attributes:
        agrees: whether the F test at 5 % finds no difference.
        kept: the share of the least squares line that is taken, 0 to 1.
        slope: 1 where the values all are the same.
        offset: in the task's unit.
        mean_interval: 95 %, of the mean of truth - value.
        slope_interval: 95 %, of the least squares; None of too few subjects, or of values all the
            same.
    """

    agrees: bool
    kept: float
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
    count, residual, centre = len(values), truth - values, float(values.mean())
    mean, around = float(residual.mean()), values - centre
    reach = _t(count - 1) * float(residual.std(ddof=1)) / count**0.5
    total, tilt, between, free = float(around @ around), 0.0, None, count - 1
    has_slope = count >= _LEAST and total > 1e-12 * float(values @ values)
    if has_slope:
        tilt, free = float(around @ residual) / total, count - 2
    left = residual - mean - tilt * around
    error = float(left @ left) / free
    if has_slope:
        wide = _t(free) * (error / total) ** 0.5
        between = (1.0 + tilt - wide, 1.0 + tilt + wide)
    moved = (float(residual @ residual) - float(left @ left)) / (count - free)
    agrees = float(stats.f.sf(moved / error, count - free, free)) > 0.05 if error else moved == 0.0
    kept = max(0.0, 1.0 - error / moved) if moved else 0.0
    tilt = kept * max(tilt, -1.0)
    offset = kept * mean - tilt * centre
    return Correction(agrees, kept, 1.0 + tilt, offset, (mean - reach, mean + reach), between)


def _t(freedom: int) -> float:
    return float(stats.t.ppf(_TAIL, freedom))
