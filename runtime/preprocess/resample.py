"""One interpolation from the scan's own voxels straight onto the model's crop or grid.

The composed map of an output index: output index -> MNI RAS mm (`fmtool.space`) -> scan RAS mm
(the rigid `matrix`) -> scan voxel (the inverse of the scan's affine). Interpolation is trilinear
and reads zero beyond the scan's edge, as ANTs' linear interpolation does; a scan finer than 1 mm
is read the same way, without a low-pass filter, as the reference chain does.

A mask is resampled as float32 and cut at 0.5: the trilinear edge lies within half a voxel of the
nearest-neighbour one and has no staircase where the scan is coarser than the crop.
"""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from fmtool import space

_THREADS = 2
_MARGIN = 1e-3
# Of a voxel: rounding in the composed map may not push an exact grid point out of the box.


def to_crop(
    array: NDArray[np.float32],
    affine: NDArray[np.float64],
    matrix: NDArray[np.float64],
    order: int = 1,
) -> NDArray[np.float32]:
    """A scan on the network's crop.

    Args:
        array: (x, y, z) in the scan's voxels.
        affine: 4x4, scan voxel -> scan RAS mm.
        matrix: 4x4, template RAS mm -> scan RAS mm.
        order: 1 trilinear, 0 nearest neighbour.

    Returns:
        float32 (150, 192, 192), axes (z, y, x), zero outside the scan.
    """
    return _sample(
        array, np.linalg.inv(affine) @ matrix @ space.crop_affine(), space.CROP_SHAPE, order
    )


def to_grid(
    array: NDArray[np.float32],
    affine: NDArray[np.float64],
    matrix: NDArray[np.float64],
    order: int = 1,
) -> NDArray[np.float32]:
    """A scan on the full grid: float32 (193, 229, 193), axes (x, y, z); see `to_crop`."""
    return _sample(
        array, np.linalg.inv(affine) @ matrix @ space.grid_affine(), space.GRID_SHAPE, order
    )


def _sample(
    array: NDArray[np.float32],
    mapping: NDArray[np.float64],
    shape: tuple[int, int, int],
    order: int,
) -> NDArray[np.float32]:
    """`array` at `mapping @ index` for every index of `shape`; only where it is not zero."""
    mapping = _snapped(mapping)
    source, low = _content(array)
    out = np.zeros(shape, dtype=np.float32)
    if source.size == 0:
        return out
    start, stop = _reach(mapping, low, source.shape, shape)
    if (stop <= start).any():
        return out
    box = out[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))]
    offset = mapping[:3, 3] - low + mapping[:3, :3] @ start

    def fill(rows: slice) -> None:
        ndimage.affine_transform(
            source,
            mapping[:3, :3],
            offset + mapping[:3, 0] * rows.start,
            output=box[rows],
            output_shape=box[rows].shape,
            order=order,
            mode="constant",
            prefilter=False,
        )

    edges = np.linspace(0, box.shape[0], 4 * _THREADS + 1).astype(int)
    slabs = [slice(a, b) for a, b in itertools.pairwise(edges) if b > a]
    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(fill, slabs))
    return out


def _snapped(mapping: NDArray[np.float64]) -> NDArray[np.float64]:
    """`mapping` with near-integers made integers: an exact map must copy, not interpolate."""
    nearest = np.rint(mapping)
    return np.where(np.abs(mapping - nearest) < 1e-9, nearest, mapping)


def _content(
    array: NDArray[np.float32],
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The box around the non-zero voxels with one voxel of zeros about it, and its first index."""
    filled = array != 0
    bounds = []
    for axis in range(3):
        line = np.flatnonzero(filled.any(axis=tuple(a for a in range(3) if a != axis)))
        if line.size == 0:
            return np.zeros((0, 0, 0), np.float32), np.zeros(3, np.int64)
        bounds.append((line[0], line[-1] + 1))
    box = tuple(slice(a, b) for a, b in bounds)
    low = np.array([a for a, _ in bounds], dtype=np.int64) - 1
    # The ring of zeros makes linear interpolation fall to zero beyond the scan's last voxel.
    return np.pad(np.asarray(array[box], dtype=np.float32), 1), low


def _reach(
    mapping: NDArray[np.float64],
    low: NDArray[np.int64],
    size: tuple[int, ...],
    shape: tuple[int, int, int],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The output box that the source box maps into: first index and one past the last."""
    corners = np.array(list(itertools.product(*zip(low, low + size, strict=True))))
    inverse = np.linalg.inv(mapping)
    indices = corners @ inverse[:3, :3].T + inverse[:3, 3]
    start = np.clip(np.floor(indices.min(0) - _MARGIN), 0, shape).astype(np.int64)
    stop = np.clip(np.ceil(indices.max(0) + _MARGIN) + 1, 0, shape).astype(np.int64)
    return start, stop
