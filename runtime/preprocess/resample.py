"""One interpolation from the scan's own voxels straight onto the model's crop or grid.

The composed map of an output index: output index -> MNI RAS mm (`fmtool.space`) -> scan RAS mm
(the rigid `matrix`) -> scan voxel (the inverse of the scan's affine). Intensities are read by cubic
splines, a scan finer than 1 mm like any other, without a low-pass filter for its sake.

Trilinear interpolation, the reference chain's, blurs by an amount that depends on where a point
lies between the voxels and on how large they are: the same head on another grid is another
picture. A cubic spline passes through the voxels and hardly blurs. What trilinear reading of
1 mm voxels blurs on average, a variance of 1/6 mm^2 along each axis, is added to it, so that the
network sees what the reference chain makes of such scans, of every scan. Source: Unser, Aldroubi,
Eden 1993, doi:10.1109/78.193220 (the recursive prefilter, SciPy's).

A mask is resampled as float32, trilinearly, and cut at 0.5: that edge lies within half a voxel of
the nearest-neighbour one and has no staircase where the scan is coarser than the crop. Beyond the
scan's edge all is zero.
"""

from __future__ import annotations

import itertools
import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from fmtool import space
from runtime.grid import bounds

ORDER = 3

_BLUR_MM2 = 1.0 / 6.0
_AT_ONCE = 0.25  # voxels^2: three taps that blur by more would damp the finest detail unevenly


def coefficients(array: NDArray[np.float32], spacing: NDArray[np.float64]) -> NDArray[np.float32]:
    """The coefficients, for `scipy.ndimage` with `order=ORDER` and `prefilter=False`.

    Args:
        array: (x, y, z), finite.
        spacing: mm per axis.

    Returns:
        float32, same shape. The scan goes on beyond its edge as it ends there.
    """
    found = np.asarray(array, dtype=np.float32)
    for axis in range(3):
        variance = _BLUR_MM2 / float(spacing[axis]) ** 2
        passes = math.ceil(variance / _AT_ONCE)
        side = variance / passes / 2.0
        taps = np.array([side, 1.0 - 2.0 * side, side])
        for _ in range(passes):
            found = ndimage.correlate1d(found, taps, axis=axis, mode="nearest")
        found = ndimage.spline_filter1d(found, ORDER, axis=axis, output=np.float32, mode="nearest")
    return found


_THREADS = 2
_SLABS = 12
_MARGIN = 1e-3
# Of a voxel: rounding in the composed map may not push an exact grid point out of the box.


def to_crop(
    array: NDArray[np.float32],
    affine: NDArray[np.float64],
    matrix: NDArray[np.float64],
    order: int = 1,
    within: NDArray[np.bool_] | None = None,
) -> NDArray[np.float32]:
    """A scan on the network's crop.

    Args:
        array: (x, y, z) in the scan's voxels.
        affine: 4x4, scan voxel -> scan RAS mm.
        matrix: 4x4, template RAS mm -> scan RAS mm.
        order: 3 cubic, as `coefficients` says, 1 trilinear, 0 nearest neighbour.
        within: bool, the crop's shape: where values are wanted. Elsewhere they are zero, which
            saves their time.

    Returns:
        float32 (150, 192, 192), axes (z, y, x), zero outside the scan.
    """
    return _sample(array, affine, matrix @ space.crop_affine(), space.CROP_SHAPE, order, within)


def to_grid(
    array: NDArray[np.float32],
    affine: NDArray[np.float64],
    matrix: NDArray[np.float64],
    order: int = 1,
    within: NDArray[np.bool_] | None = None,
) -> NDArray[np.float32]:
    """A scan on the full grid: float32 (193, 229, 193), axes (x, y, z); see `to_crop`."""
    return _sample(array, affine, matrix @ space.grid_affine(), space.GRID_SHAPE, order, within)


def _sample(
    array: NDArray[np.float32],
    affine: NDArray[np.float64],
    places: NDArray[np.float64],
    shape: tuple[int, int, int],
    order: int,
    within: NDArray[np.bool_] | None,
) -> NDArray[np.float32]:
    """`array` at `places @ index` (scan RAS mm) for every index where it can be other than zero."""
    mapping = _snapped(np.linalg.inv(affine) @ places)
    out = np.zeros(shape, dtype=np.float32)
    content = bounds(array != 0)
    if content is None:
        return out
    if order == ORDER:
        # A ring of the edge's own values: half a voxel beyond its centre an edge voxel ends.
        source = np.pad(np.asarray(array, dtype=np.float32), 1, mode="edge")
        source = coefficients(source, np.linalg.norm(affine[:3, :3], axis=0))
        low = np.full(3, -1)
    else:
        # The ring of zeros makes linear interpolation fall to zero beyond the scan's last voxel.
        source = np.pad(np.asarray(array[content], dtype=np.float32), 1)
        low = np.array([b.start - 1 for b in content])
    reach = _reach(mapping, low, source.shape, shape)
    turn, start = mapping[:3, :3], mapping[:3, 3] - low
    how = {"order": order, "mode": "constant", "prefilter": False}

    def fill(rows: slice) -> None:
        box = (rows, *reach[1:])
        corner = np.array([b.start for b in box])
        if within is None:
            offset = start + turn @ corner
            shape = out[box].shape
            ndimage.affine_transform(
                source, turn, offset, output=out[box], output_shape=shape, **how
            )
            return
        wanted = np.nonzero(within[box])
        at = turn @ (np.stack(wanted) + corner[:, None]) + start[:, None]
        out[box][wanted] = ndimage.map_coordinates(source, at, output=np.float32, **how)

    edges = np.unique(np.linspace(reach[0].start, reach[0].stop, _SLABS + 1).astype(int))
    slabs = [slice(a, b) for a, b in itertools.pairwise(edges)]
    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(fill, slabs))
    return out


def _snapped(mapping: NDArray[np.float64]) -> NDArray[np.float64]:
    """`mapping` with near-integers made integers: an exact map must copy, not interpolate."""
    nearest = np.rint(mapping)
    return np.where(np.abs(mapping - nearest) < 1e-9, nearest, mapping)


def _reach(
    mapping: NDArray[np.float64],
    low: NDArray[np.int64],
    size: tuple[int, ...],
    shape: tuple[int, int, int],
) -> tuple[slice, slice, slice]:
    """The output box that the source box maps into; empty where they do not meet."""
    corners = np.array(list(itertools.product(*zip(low, low + size, strict=True))))
    inverse = np.linalg.inv(mapping)
    indices = corners @ inverse[:3, :3].T + inverse[:3, 3]
    start = np.clip(np.floor(indices.min(axis=0) - _MARGIN), 0, shape).astype(int)
    stop = np.clip(np.ceil(indices.max(axis=0) + _MARGIN) + 1, start, shape).astype(int)
    x, y, z = (slice(int(a), int(b)) for a, b in zip(start, stop, strict=True))
    return x, y, z
