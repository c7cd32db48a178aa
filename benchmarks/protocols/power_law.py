"""A power law through a few points, and how sure its exponent is.

    error(n) = a * n^-b         log error = log a - b log n, by least squares
    error(n) = a * n^-b + c     c between 0 and the smallest error, by a search along c

The second has as many parameters as three points have numbers: it needs four or more.
Source: Kaplan et al., "Scaling Laws for Neural Language Models" (arXiv 2001.08361), for the form.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from fmtool.errors import InputError

Array = NDArray[np.float64]

_LEVEL = 95.0
_COARSE = 200


@dataclass(frozen=True)
class PowerLaw:
    """error(n) = a * n^-b + c; c is 0 where it was not fitted."""

    a: float
    b: float
    c: float = 0.0

    def __call__(self, n: Array) -> Array:
        """The error at n."""
        found: Array = self.a * np.asarray(n, dtype=np.float64) ** -self.b + self.c
        return found

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def fit(n: Array, error: Array, floor: bool = False) -> PowerLaw:
    """The law through points, by least squares of log error.

    Args:
        n: (P,), above zero.
        error: (P,), above zero.
        floor: fit c, too.

    Raises:
        InputError: for fewer than two sizes (with a floor: four), or an error that is not above 0.
    """
    n, error = np.asarray(n, dtype=np.float64), np.asarray(error, dtype=np.float64)
    needed = 4 if floor else 2
    if len(np.unique(n)) < needed:
        raise InputError(f"{len(np.unique(n))} sizes are too few for a law; {needed} are needed")
    if not (np.isfinite(error) & (error > 0.0)).all():
        raise InputError("an error of zero or below has no logarithm: no law can be fitted")
    if not floor:
        return _line(n, error)

    def misfit(c: float) -> float:
        law = _line(n, error - c)
        return float(np.square(np.log(law(n) + c) - np.log(error)).sum())

    top = float(error.min()) * (1.0 - 1e-6)
    grid = np.linspace(0.0, top, _COARSE)
    best = int(np.argmin([misfit(c) for c in grid]))
    low, high = grid[max(best - 1, 0)], grid[min(best + 1, _COARSE - 1)]
    c = float(minimize_scalar(misfit, bounds=(low, high), method="bounded").x)
    law = _line(n, error - c)
    return PowerLaw(law.a, law.b, c)


def exponent_interval(n: Array, draws: Array, floor: bool = False) -> tuple[float, float, int]:
    """The 95 % percentile interval of b, and of how many draws.

    Args:
        n: (P,).
        draws: (D, P): the errors of each draw; draws with an error of 0 or below are left out.
        floor: fit c, too.

    Raises:
        InputError: if no draw is left.
    """
    usable = draws[(np.isfinite(draws) & (draws > 0.0)).all(axis=1)]
    if not len(usable):
        raise InputError("no draw of the bootstrap has errors above zero: no law can be fitted")
    exponents = [fit(n, draw, floor).b for draw in usable]
    tail = (100.0 - _LEVEL) / 2
    low, high = np.percentile(exponents, [tail, 100.0 - tail])
    return float(low), float(high), len(usable)


def _line(n: Array, error: Array) -> PowerLaw:
    slope, start = np.polyfit(np.log(n), np.log(error), 1)
    return PowerLaw(float(np.exp(start)), float(-slope))
