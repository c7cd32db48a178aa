"""Of a task of K classes: calibrated probabilities, and the classes that cannot be excluded.

A scan's strangeness in class c is -log of the softmax's share of c. A class stays in the prediction
set unless the scan is stranger in it than all but a share of that class's calibration scans were,
each under the head that never saw it (Sadinle, Lei and Wasserman, JASA 2019; by class: Vovk, arXiv
1209.2673), as `runtime.trust.classes` has it for two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from runtime.trust.folds import Array, array, number


@dataclass(frozen=True)
class Softmax:
    """p = softmax(slope * logits + offsets): a temperature, and each class's own offset (K,)."""

    slope: float
    offsets: Array

    def __post_init__(self) -> None:
        if self.offsets.ndim != 1 or self.offsets.size < 2 or self.slope < 0.0:
            raise ValueError("a calibration of several classes has an offset each, and rises")

    def __call__(self, logits: ArrayLike) -> Array:
        """(..., K) -> (..., K), of each class."""
        z = self.slope * np.asarray(logits, dtype=np.float64) + self.offsets
        return np.exp(log_softmax(z))

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {"slope": self.slope, "offsets": self.offsets.tolist()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Softmax:
        """The inverse of `to_dict`.

        Raises:
            KeyError, TypeError, ValueError: for data that it did not write.
        """
        return cls(number(data["slope"]), array(data["offsets"]))


def log_softmax(logits: ArrayLike) -> Array:
    """(..., K) -> (..., K): log of each class's share."""
    z = np.asarray(logits, dtype=np.float64)
    z = z - z.max(axis=-1, keepdims=True)
    return np.asarray(z - np.log(np.exp(z).sum(axis=-1, keepdims=True)))


def strangeness(logits: ArrayLike) -> Array:
    """(..., K) -> (..., K): how strange a scan of these logits would be in each class."""
    return -log_softmax(logits)


def among(score: Array, mass: Array, labels: Array, new: Array, by_class: bool) -> list[float]:
    """How usual a scan would be among those of each class.

    Args:
        score: (N,) the calibration scans' strangeness in their own class.
        mass: (N,) how much each counts.
        labels: (N,) 0 to K - 1.
        new: (N, K) how strange the scan is by each calibration scan's own head.
        by_class: compare within each class (coverage holds for each), or among all scans.
    """
    found = []
    for label in range(new.shape[1]):
        rows = labels == label if by_class else np.ones(len(labels), dtype=np.bool_)
        stranger = rows & (score >= new[:, label])
        found.append(float((mass[stranger].sum() + 1.0) / (mass[rows].sum() + 1.0)))
    return found


def at_shares(probabilities: Array, fitted: Sequence[float], used: Sequence[float]) -> Array:
    """(K,) probabilities that hold where the classes have the shares `fitted`, where they have
    those `used`, by Bayes."""
    if used == fitted:
        return probabilities
    found = probabilities * np.asarray(used) / np.asarray(fitted)
    return np.asarray(found / found.sum())


def shares(labels: Array, mass: Array, kinds: int) -> list[float]:
    """Each class's among the subjects that the probabilities were fitted on."""
    return [float(mass[labels == c].sum() / mass.sum()) for c in range(kinds)]
