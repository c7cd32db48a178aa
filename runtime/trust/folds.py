"""The heads of a cross-validation, and how each calibration scan did under one that never saw it.

Everything conformal is evaluated from this: CV+ (Barber et al. 2021, arXiv 1905.02928) compares the
new scan with each calibration scan under that scan's own head. One fold is split conformal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

MOST = 1e30
"""Nothing of a calibration is larger: products and sums of such numbers stay finite."""

SLACK = 1e-9
"""Masses are sums of 1/k: without it, the last bit would decide whether a quantile is reached."""


@dataclass(frozen=True)
class Folds:
    """K heads and N calibration scans.

    Attributes:
        weight: (K, F), per unit of each feature; or (1, F), times each head's slope; (K, C, F) of C
            classes.
        bias: (K,), or (K, C); (K, C) of C steps between classes in an order, which share a weight.
        fold: (N,) the head that did not see the scan.
        score: (N,) a regression's absolute residual, a binary task's logit, or of several classes
            the strangeness in its own, by that head.
        mass: (N,) 1 / the subject's number of scans, so that every subject counts once.
        slope: (K,) of heads that are one head, moved; None of others.
    """

    weight: Array
    bias: Array
    fold: NDArray[np.intp]
    score: Array
    mass: Array
    slope: Array | None = None

    def __post_init__(self) -> None:
        heads, scans = len(self.bias), len(self.fold)
        fitting = (
            self.weight.ndim in (2, 3)
            and len(self.weight) == (heads if self.slope is None else 1) > 0
            and (self.slope is None or self.slope.shape == self.bias.shape)
            and heads > 0
            and self.bias.ndim in (1, 2)
            and (self.bias.shape[1:] == self.weight.shape[1:-1] or self._steps)
            and self.fold.ndim == 1
            and self.score.shape == self.mass.shape == (scans,)
            and (scans == 0 or 0 <= self.fold.min() <= self.fold.max() < heads)
        )
        numbers = [self.weight, self.bias, self.score, self.mass]
        numbers += [] if self.slope is None else [self.slope]
        if not fitting or not all(np.isfinite(a).all() for a in numbers) or (self.mass < 0).any():
            raise ValueError("the calibration's arrays do not belong together")

    def __call__(self, embedding: ArrayLike) -> Array:
        """(F,) -> (N,) or (N, C): what each calibration scan's own head says of the new scan."""
        return self.heads(embedding)[self.fold]

    def heads(self, embedding: ArrayLike) -> Array:
        """(F,) -> (K,) or (K, C): what each head says."""
        found: Array = self.weight @ np.asarray(embedding, dtype=np.float64)
        found = found[:, None] if self.in_order else found
        return (found if self.slope is None else found * self.slope) + self.bias

    @property
    def _steps(self) -> bool:
        return self.weight.ndim == self.bias.ndim == 2 < self.kinds and self.slope is None

    @property
    def in_order(self) -> bool:
        """Whether the heads' outputs are steps between classes in an order."""
        return self.bias.ndim > self.weight.ndim - 1

    @property
    def kinds(self) -> int:
        """How many classes there are, of heads of classes."""
        return int(self.bias.shape[-1]) + self.in_order if self.bias.ndim > 1 else 2

    @property
    def features(self) -> int:
        """F."""
        return int(self.weight.shape[-1])

    @property
    def subjects(self) -> float:
        """How many subjects the calibration scans are of."""
        return float(self.mass.sum())

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        found = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {name: values.tolist() for name, values in found.items() if values is not None}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Folds:
        """The inverse of `to_dict`.

        Raises:
            KeyError, TypeError, ValueError: for data that it did not write.
        """
        names = [n for n in cls.__dataclass_fields__ if n != "slope" or n in data]
        arrays = {name: array(data[name]) for name in names}
        return cls(**arrays | {"fold": arrays["fold"].astype(np.intp)})  # type: ignore[arg-type]


def array(values: Any) -> Array:
    """A stored list as float64.

    Raises:
        TypeError, ValueError: if it holds anything but numbers that can be computed with.
    """
    found = np.array(values, dtype=np.float64)
    if not (np.abs(found) <= MOST).all():  # nor NaN
        raise ValueError("a number of the calibration is too large to compute with")
    return found


def number(value: Any) -> float:
    """A stored number as float.

    Raises:
        TypeError, ValueError: see `array`.
    """
    return float(array(value).reshape(()))


def quantile(values: Array, mass: Array, level: float) -> float | None:
    """The conformal quantile: the smallest value at or below which lie `level` of the subjects.

    The new subject counts as one more, at infinity; with equal masses this is the
    ceil(level (n + 1))-th smallest value.

    Args:
        values: (N,).
        mass: (N,), see `Folds`; repeated scans as in Lee, Barber and Willett, arXiv 2306.06342.
        level: 0 to 1.

    Returns:
        None where so few subjects allow no bounded value.
    """
    order = np.argsort(values, kind="stable")
    reached = np.flatnonzero(np.cumsum(mass[order]) >= level * (mass.sum() + 1.0) - SLACK)
    return float(values[order[reached[0]]]) if reached.size else None
