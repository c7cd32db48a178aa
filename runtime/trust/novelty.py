"""Out of distribution: how far an embedding lies from the cohort that a head was calibrated on.

With z the standardised embedding and C the cohort's shrunk covariance, the distance is Mahalanobis'
sqrt(z' C^-1 z). Its conformal p-value is the share of the cohort's subjects, the new one counted
with them, that lie at least as far when they are left out.

A gridded encoder has more features than any cohort has scans. Its embedding is a table, channels by
cells, and the shape is that of the table's margins: each channel over the whole brain, which a
contrast or a resolution moves, and each cell over the channels, which what is in one place moves.
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


def margins(embeddings: ArrayLike, cells: int) -> Array:
    """(..., C * cells) -> (..., C + cells): each channel's sum, each cell's; of one, as it is."""
    x = np.asarray(embeddings, dtype=np.float64)
    if cells == 1:
        return x
    table = x.reshape(*x.shape[:-1], -1, cells)
    return np.concatenate([table.sum(-1), table.sum(-2)], axis=-1)


@dataclass(frozen=True)
class Novelty:
    """The cohort's shape, and how far its own scans lie when their subject is left out.

    Attributes:
        shape: of all calibration scans' `margins`.
        distances: (N,) sorted; aggregates, in no order of the subjects.
        mass: (N,) see `runtime.trust.folds.Folds`.
        cells: of a gridded encoder, in all.
    """

    shape: Shape
    distances: Array
    mass: Array
    cells: int = 1

    def __post_init__(self) -> None:
        if self.distances.shape != self.mass.shape or (self.mass < 0).any():
            raise ValueError("the cohort's distances are damaged")
        if not 1 <= self.cells < max(2, len(self.shape.centre)):
            raise ValueError("the cohort's cells are damaged")

    @property
    def features(self) -> int:
        """Of an embedding."""
        known = len(self.shape.centre)
        return known if self.cells == 1 else (known - self.cells) * self.cells

    def p_value(self, embedding: ArrayLike) -> float:
        """Small for a scan unlike the cohort's; uniform for one that is exchangeable with them."""
        farther = self.distances >= float(self.shape(margins(embedding, self.cells)))
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
            **({} if self.cells == 1 else {"cells": self.cells}),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Novelty:
        """The inverse of `to_dict`."""
        centre = array(data["centre"])
        axes = array(data["axes"]).reshape(-1, len(centre))
        shape = Shape(centre, array(data["scale"]), axes, array(data["gain"]), number(data["rest"]))
        cells = int(number(data.get("cells", 1)))
        return cls(shape, array(data["distances"]), array(data["mass"]), cells)
