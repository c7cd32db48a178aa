"""Out of distribution: how far an embedding lies from the cohort that a head was calibrated on.

With z the standardised embedding and C the cohort's shrunk covariance, the distance is Mahalanobis'
sqrt(z' C^-1 z). Its conformal p-value is the share of the cohort's subjects, the new one counted
with them, that lie at least as far when they are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from runtime.trust.folds import Array, array, number

WARN = 0.02
"""A p-value this small is warned of; with few subjects, the smallest that they allow."""


@dataclass(frozen=True)
class Shape:
    """Where a cohort's embeddings lie: C^-1 as rest (I - A'A) + A' diag(gain) A.

    Attributes:
        centre: (F,) mean.
        scale: (F,) what each feature is divided by.
        axes: (R, F) orthonormal rows, the covariance's largest eigenvectors; R at most F.
        gain: (R,) one over their variances.
        rest: one over the variance in every other direction.
    """

    centre: Array
    scale: Array
    axes: Array
    gain: Array
    rest: float

    def __post_init__(self) -> None:
        features = self.centre.shape
        if (
            len(features) != 1
            or self.scale.shape != features
            or self.axes.shape != (len(self.gain), *features)
            or not (self.scale > 0).all()
        ):
            raise ValueError("the cohort's shape is damaged")

    def __call__(self, embeddings: ArrayLike) -> Array:
        """(..., F) -> (...): distances, in standard deviations."""
        z = (np.asarray(embeddings, dtype=np.float64) - self.centre) / self.scale
        along = z @ self.axes.T
        squared = self.rest * (z * z).sum(-1) + (along * along) @ (self.gain - self.rest)
        return np.asarray(np.sqrt(np.maximum(squared, 0.0)), dtype=np.float64)


@dataclass(frozen=True)
class Novelty:
    """The cohort's shape, and how far its own scans lie when their subject is left out.

    Attributes:
        shape: of all calibration scans.
        distances: (N,) sorted; aggregates, in no order of the subjects.
        mass: (N,) see `runtime.trust.folds.Folds`.
    """

    shape: Shape
    distances: Array
    mass: Array

    def __post_init__(self) -> None:
        if self.distances.shape != self.mass.shape or (self.mass < 0).any():
            raise ValueError("the cohort's distances are damaged")

    def p_value(self, embedding: ArrayLike) -> float:
        """Small for a scan unlike the cohort's; uniform for one that is exchangeable with them."""
        farther = self.distances >= float(self.shape(embedding))
        return float((self.mass[farther].sum() + 1.0) / (self.mass.sum() + 1.0))

    @property
    def least(self) -> float:
        """The smallest p-value that so many subjects allow."""
        return float(1.0 / (self.mass.sum() + 1.0))

    def unusual(self, p: float) -> bool:
        """Whether a p-value is to be warned of."""
        return p <= max(WARN, self.least) * (1.0 + 1e-9)

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        shape = self.shape
        return {
            "centre": shape.centre.tolist(),
            "scale": shape.scale.tolist(),
            "axes": shape.axes.tolist(),
            "gain": shape.gain.tolist(),
            "rest": shape.rest,
            "distances": self.distances.tolist(),
            "mass": self.mass.tolist(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Novelty:
        """The inverse of `to_dict`."""
        centre = array(data["centre"])
        axes = array(data["axes"]).reshape(-1, len(centre))
        shape = Shape(centre, array(data["scale"]), axes, array(data["gain"]), number(data["rest"]))
        return cls(shape, array(data["distances"]), array(data["mass"]))
