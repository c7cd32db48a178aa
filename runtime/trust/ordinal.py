"""Of a task of K classes in an order: one score, and thresholds on it between the classes.

The proportional-odds model, or cumulative logit (McCullagh, Journal of the Royal Statistical
Society B 1980). With s the score, t_1 < ... < t_(K-1) the thresholds, and classes 0 to K - 1:

    P(class <= k - 1) = sigmoid(t_k - s)          z_k = s - t_k, the log-odds of being beyond step k

The steps z_1 > ... > z_(K-1) say everything. A head's thresholds have the mean zero, so that its
score is its steps' mean, whichever fold's head it is.

The class that is answered is the median one, whose stretch between two thresholds the score lies
in: it errs by the fewest classes on average, where the most probable one may pass over a class that
is rare, and a higher score never names a lower class.

A scan's strangeness in class c is how far its score lies beyond either end of that class's stretch,
max(z_(c+1), -z_c): the classes that cannot be excluded follow each other, as in Lu, Angelopoulos
and Pomerantz (MICCAI 2022, arXiv 2207.02238), and each class is compared with its own scans, as in
`runtime.trust.multiclass`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from runtime.trust.folds import Array, array, number


@dataclass(frozen=True)
class Cumulative:
    """P(class <= k - 1) = sigmoid(thresholds[k - 1] - slope * score)."""

    slope: float
    thresholds: Array

    def __post_init__(self) -> None:
        if self.thresholds.ndim != 1 or not rising(self.thresholds) or self.slope < 0.0:
            raise ValueError("a calibration of classes in an order has thresholds that rise")

    def __call__(self, score: ArrayLike) -> Array:
        """(...) -> (..., K), of each class."""
        scaled = self.slope * np.asarray(score, dtype=np.float64)
        return np.exp(log_chances(scaled[..., None] - self.thresholds))

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {"slope": self.slope, "thresholds": self.thresholds.tolist()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Cumulative:
        """The inverse of `to_dict`.

        Raises:
            KeyError, TypeError, ValueError: for data that it did not write.
        """
        return cls(number(data["slope"]), array(data["thresholds"]))


def rising(thresholds: ArrayLike) -> bool:
    """Whether there are thresholds, each above the one before."""
    found = np.asarray(thresholds, dtype=np.float64)
    return bool(found.size and (np.diff(found) > 0.0).all())


def centred(bias: Array) -> tuple[float, tuple[float, ...]]:
    """The (K - 1,) biases of a head's steps as the score's own, and the thresholds."""
    level = float(bias.mean())
    return level, tuple((level - bias).tolist())


def log_chances(steps: ArrayLike) -> Array:
    """(..., K - 1) -> (..., K): log of each class's probability.

    sigmoid(a) - sigmoid(b) = sigmoid(a) sigmoid(-b) (1 - exp(b - a)), which keeps its digits at
    either end.
    """
    z = np.asarray(steps, dtype=np.float64)
    with np.errstate(divide="ignore"):  # steps that lie on each other leave a class nothing
        between = np.log(-np.expm1(np.diff(z, axis=-1)))
    ends = [(0, 0)] * (z.ndim - 1)
    reached = np.pad(-np.logaddexp(0.0, -z), [*ends, (1, 0)])
    stayed = np.pad(-np.logaddexp(0.0, z), [*ends, (0, 1)])
    return np.asarray(reached + stayed + np.pad(between, [*ends, (1, 1)]))


def strangeness(steps: ArrayLike) -> Array:
    """(..., K - 1) -> (..., K): how strange a scan of these steps would be in each class."""
    z = np.asarray(steps, dtype=np.float64)
    ends = [(0, 0)] * (z.ndim - 1)
    below = np.pad(-z, [*ends, (1, 0)], constant_values=-np.inf)
    return np.maximum(below, np.pad(z, [*ends, (0, 1)], constant_values=-np.inf))


def median(steps: ArrayLike) -> Array:
    """(..., K - 1) -> (...): the median class, 0 to K - 1; how many steps lie behind the score."""
    return np.asarray((np.asarray(steps) > 0.0).sum(axis=-1, dtype=np.float64))


def median_of(chances: Sequence[float]) -> int:
    """The same of the classes' probabilities: the first that half of them lie at or below."""
    return int(np.searchsorted(np.cumsum(chances), 0.5 - 1e-12))


def run(members: Sequence[int]) -> list[int]:
    """A prediction set without gaps: a class between two that stay cannot be excluded either."""
    return list(range(min(members), max(members) + 1))
