"""The model's space: the one place that knows the MNI grid, the crop and the axis order.

Two frames appear here:

* **grid**: the MNI152 NLin 2009c symmetric template's grid, array axes (x, y, z), RAS+, 1 mm.
* **crop**: what the network reads, array axes (z, y, x), a box of the grid.

Both map to the same world frame, MNI RAS in millimetres. Source: the preprocessing of
3D-Neuro-SimCLR (arXiv 2509.10620), which transposes the grid and crops [10:160, 19:211, 1:193].
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

GRID_SHAPE: tuple[int, int, int] = (193, 229, 193)
"""(x, y, z) voxels of the template's grid."""

GRID_ORIGIN: tuple[float, float, float] = (-96.0, -132.0, -78.0)
"""RAS mm of the grid's first voxel."""

CROP_SHAPE: tuple[int, int, int] = (150, 192, 192)
"""(z, y, x) voxels of the network's input."""

CROP_START: tuple[int, int, int] = (10, 19, 1)
"""(z, y, x) index on the grid of the crop's first voxel."""

_BOX = tuple(slice(a, a + n) for a, n in zip(CROP_START, CROP_SHAPE, strict=True))


def grid_affine() -> NDArray[np.float64]:
    """4x4, grid index (x, y, z) -> MNI RAS mm."""
    import numpy as np

    affine = np.eye(4)
    affine[:3, 3] = GRID_ORIGIN
    return affine


def crop_affine() -> NDArray[np.float64]:
    """4x4, crop index (z, y, x) -> MNI RAS mm."""
    import numpy as np

    reverse = np.zeros((4, 4))
    reverse[0, 2] = reverse[1, 1] = reverse[2, 0] = reverse[3, 3] = 1.0
    shift = np.eye(4)
    shift[:3, 3] = CROP_START
    return np.asarray(grid_affine() @ reverse @ shift)


def to_crop(grid: NDArray[np.generic]) -> NDArray[np.generic]:
    """A view of a grid array (x, y, z) as the network's crop (z, y, x).

    Raises:
        ValueError: if `grid` is not of `GRID_SHAPE`.
    """
    if grid.shape != GRID_SHAPE:
        raise ValueError(f"a grid array has shape {GRID_SHAPE}, not {grid.shape}")
    return grid.transpose(2, 1, 0)[_BOX]


def to_grid(crop: NDArray[np.generic]) -> NDArray[np.generic]:
    """The grid array (x, y, z), zero outside the crop, that `to_crop` maps to `crop`.

    Raises:
        ValueError: if `crop` is not of `CROP_SHAPE`.
    """
    import numpy as np

    if crop.shape != CROP_SHAPE:
        raise ValueError(f"a crop has shape {CROP_SHAPE}, not {crop.shape}")
    grid = np.zeros(GRID_SHAPE[::-1], dtype=crop.dtype)
    grid[_BOX] = crop
    return grid.transpose(2, 1, 0)
