"""What N4 looks at: a brain's intensities on a regular grid, and what its mesh is laid over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.preprocess.bias.bspline import Array

Spacing = tuple[float, float, float]
"""mm per axis."""


@dataclass(frozen=True)
class Samples:
    """Along the scan's axes; places are voxels of the scan, not necessarily whole ones.

    Attributes:
        places: for each axis (n,).
        values: float64, an intensity for each place of the three axes.
        inside: bool, likewise: whether it counts.
        low: where the mesh begins on each axis.
        extent: the mesh's length on each axis.
    """

    places: tuple[Array, Array, Array]
    values: Array
    inside: NDArray[np.bool_]
    low: tuple[float, ...]
    extent: tuple[float, ...]

    def fractions(self, axis: int, places: NDArray[Any]) -> Array:
        """Places as fractions of the mesh's extent on an axis."""
        return np.asarray((places - self.low[axis]) / self.extent[axis], dtype=np.float64)
