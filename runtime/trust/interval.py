"""A regression's prediction interval by CV+: with n subjects, fold k(i) having left out scan i,

    R_i   = |y_i - m_k(i)(x_i)| / s_k(i)(x_i)
    low   = the floor(a (n + 1))-th smallest       of  m_k(i)(x) - R_i s_k(i)(x)
    high  = the ceil((1 - a)(n + 1))-th smallest   of  m_k(i)(x) + R_i s_k(i)(x)

for 1 - a the level, m_k a fold's head and s_k its difficulty, which is 1 unless a model of it makes
the intervals shorter (Barber et al. 2021, arXiv 1905.02928).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from runtime.trust.folds import Array, Folds, array, quantile

_MOST_LOG = 100.0  # of an error, in any unit: beyond, its exponential means nothing


@dataclass(frozen=True)
class Interval:
    """From `low` to `high`, in the task's unit, meant to hold the truth in `level` of scans."""

    low: float
    high: float
    level: float

    def to_dict(self) -> dict[str, float]:
        """Plain data."""
        return asdict(self)


@dataclass(frozen=True)
class Difficulty:
    """How large an error is to be expected of a scan: exp of one affine map per fold.

    Attributes:
        weight: (K, F).
        bias: (K,).
        low: (K,) the least log error that the fold expects of its own scans.
        high: (K,) the largest; beyond either the map says nothing.
    """

    weight: Array
    bias: Array
    low: Array
    high: Array

    def __post_init__(self) -> None:
        shapes = {a.shape for a in (self.bias, self.low, self.high)}
        fits = shapes == {self.weight.shape[:1]} and self.weight.ndim == 2
        if not fits or (np.abs([self.low, self.high]) > _MOST_LOG).any():
            raise ValueError("the difficulty's arrays do not belong together")

    def __call__(self, embedding: ArrayLike) -> Array:
        """(F,) -> (K,)."""
        x = np.asarray(embedding, dtype=np.float64)
        found: Array = np.exp(np.clip(self.weight @ x + self.bias, self.low, self.high))
        return found

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {name: getattr(self, name).tolist() for name in self.__dataclass_fields__}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Difficulty:
        """The inverse of `to_dict`."""
        return cls(**{name: array(data[name]) for name in cls.__dataclass_fields__})


def interval(
    folds: Folds, embedding: ArrayLike, level: float, difficulty: Difficulty | None = None
) -> Interval | None:
    """The interval of one scan; None where the subjects are too few for a bounded one.

    Args:
        folds: with the residuals, normalised where there is a difficulty.
        embedding: (F,).
        level: such as 0.9.
        difficulty: of the same folds.
    """
    centre = folds(embedding)
    reach = folds.score
    if difficulty is not None:
        reach = reach * difficulty(embedding)[folds.fold]
    low = quantile(reach - centre, folds.mass, level)
    high = quantile(centre + reach, folds.mass, level)
    return None if low is None or high is None else Interval(-low, high, level)
