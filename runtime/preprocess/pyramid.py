"""Smaller, smoother copies of a volume: averaged in blocks first, so that blurring is cheap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from runtime.grid import block_means, bounds


@dataclass(frozen=True)
class Placed:
    """An array with its place in the world.

    Attributes:
        array: float32 or bool (x, y, z).
        affine: 4x4, voxel -> RAS mm.
    """

    array: NDArray[Any]
    affine: NDArray[np.float64]

    @property
    def spacing(self) -> NDArray[np.float64]:
        """Voxel size, mm per axis."""
        return np.asarray(np.linalg.norm(self.affine[:3, :3], axis=0))

    @property
    def voxel_mm3(self) -> float:
        """A voxel's volume."""
        return abs(float(np.linalg.det(self.affine[:3, :3])))


def bounded(volume: Placed) -> Placed:
    """The box of the non-zero voxels; the whole volume when there is none."""
    box = bounds(volume.array != 0)
    if box is None:
        return volume
    affine = volume.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ [part.start for part in box]
    return Placed(volume.array[box], affine)


def shrink(volume: Placed, spacing: float, sigma: float) -> Placed:
    """`volume` at about `spacing` mm per voxel, blurred as by a Gaussian of `sigma` mm.

    Blocks of whole voxels are averaged, then a Gaussian adds the blur that is still missing:
    a block of n voxels of h mm has a variance of (n^2 - 1) h^2 / 12 of its own. The array is
    padded by 3 sigma, so that a cut-out brain fades to zero within it.
    """
    factors = np.maximum(1, np.floor(spacing / volume.spacing + 0.3)).astype(int)
    small = block_means(volume.array, factors)
    affine = volume.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ ((factors - 1) / 2.0)
    affine[:3, :3] = affine[:3, :3] * factors

    own = (factors**2 - 1.0) / 12.0 * volume.spacing**2
    missing = np.sqrt(np.maximum(sigma**2 - own, 0.0)) / (volume.spacing * factors)
    margin = np.ceil(3.0 * missing).astype(int)
    padded = np.pad(small, [(int(m), int(m)) for m in margin])
    affine[:3, 3] -= affine[:3, :3] @ margin
    blurred = ndimage.gaussian_filter(padded, missing, mode="constant", truncate=3.0)
    return Placed(np.asarray(blurred, dtype=np.float32), affine)
