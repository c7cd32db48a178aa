"""What N4 looks at: a brain's intensities on a regular grid, and what its mesh is laid over.

By the head: every 3 mm from its centre of mass, between the voxels. Places, distances and the mesh
are in millimetres of the head, not in voxels of the scan: cropping, shifting or resampling a scan
hardly changes them. Intensities are read by cubic splines, which on a grid along the scan's own
axes are three small matrix products. By the scan, as ITK does: every fourth voxel, a mesh over the
field of view.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from runtime.grid import bounds
from runtime.preprocess.bias.bspline import Array, basis, contract

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


_CUBE_MM = 200.0  # a brain measures less
_STEP_MM = 3.0
_MOST = 80  # steps across a brain: bounds the work for a head of wrong units
_REACH = 6  # voxels around the brain, of which its spline needs to know
_WHOLE = 0.99  # of the largest share of the eight voxels around a sample that are brain


def by_head(
    volume: NDArray[np.floating[Any]], mask: NDArray[np.bool_], spacing: Spacing
) -> Samples | None:
    """A brain's intensities; those of voxels that are not positive and finite do not count.

    Args:
        volume: (x, y, z) intensities.
        mask: bool, same shape: the brain.
        spacing: mm per axis.

    Returns:
        The mesh's extent is a cube about the centre of mass. None where the mask holds no positive
        and finite voxel.
    """
    valid = mask.astype(bool) & (volume > 0.0) & (volume < np.inf)
    brain, box = bounds(valid), bounds(valid, _REACH)
    if brain is None or box is None:
        return None
    ends = [(part.start, part.stop - 1) for part in brain]
    known = valid[box].astype(np.float32)
    volume = np.nan_to_num(volume[box], posinf=0.0, neginf=0.0).astype(np.float32)
    start = [part.start for part in box]
    middle = [_middle(known, axis) for axis in range(3)]
    across = [(last - first) * s for (first, last), s in zip(ends, spacing, strict=True)]
    step = max(_STEP_MM, max(across) / _MOST)
    while True:
        places = [
            _places(middle[a], step / spacing[a], ends[a][0] - start[a], ends[a][1] - start[a])
            for a in range(3)
        ]
        share = contract(known, [_linear(p, n) for p, n in zip(places, known.shape, strict=True)])
        if share.max() > 0.0:
            break
        step /= 2.0  # between the places of a step so wide lay no voxel of the mask
    values = contract(volume, [_cubic(p, n) for p, n in zip(places, known.shape, strict=True)])
    inside = (share >= _WHOLE * share.max()) & (values > 0.0)
    extent = tuple(_CUBE_MM / s for s in spacing)
    low = tuple(m + f - e / 2.0 for m, f, e in zip(middle, start, extent, strict=True))
    x, y, z = (place + first for place, first in zip(places, start, strict=True))
    return Samples((x, y, z), values.astype(np.float64), inside, low, extent)


def _middle(weights: NDArray[np.float32], axis: int) -> float:
    """The centre of mass on one axis, voxels."""
    others = tuple(a for a in range(3) if a != axis)
    line = weights.sum(axis=others, dtype=np.float64)
    return float(line @ np.arange(len(line)) / line.sum())


def _places(middle: float, step: float, first: int, last: int) -> Array:
    """Every `step` voxels to both sides of `middle`, from `first` to `last`."""
    low, high = np.ceil((first - middle) / step), np.floor((last - middle) / step)
    return np.asarray(middle + step * np.arange(low, high + 1.0))


def _linear(places: Array, size: int) -> NDArray[np.float32]:
    """(size, n): what each of `size` voxels counts for at each place, linearly."""
    distance = np.abs(places[None] - np.arange(size)[:, None])
    return np.maximum(1.0 - distance, 0.0).astype(np.float32)


def _cubic(places: Array, size: int) -> NDArray[np.float32]:
    """The same by a cubic spline through the voxels, mirrored at the ends."""
    if size == 1:
        return np.ones((1, len(places)), dtype=np.float32)
    weights = basis(places / (size - 1), size - 1)
    inner = weights[:, 1:-1]
    inner[:, 1] += weights[:, 0]
    inner[:, -2] += weights[:, -1]
    through = ndimage.spline_filter1d(np.eye(size), order=3, axis=0)
    return np.asarray((inner @ through).T, dtype=np.float32)


_SHRINK = 4
_SHRUNK_MM = (3.0, 8.0)  # bounds on the distance of the sampled voxels: keeps submillimetre scans
# affordable and thick slices usable; between 0.75 and 2 mm the factor is always 4
_MIN_SAMPLES = 200  # as many as the histogram has bins; with fewer, shrink less


def by_scan(
    volume: NDArray[np.floating[Any]], mask: NDArray[np.bool_], spacing: Spacing
) -> Samples | None:
    """The voxels that ITK's shrinking takes; those not positive and finite do not count.

    Args:
        volume: (x, y, z) intensities.
        mask: bool, same shape: the brain.
        spacing: mm per axis.

    Returns:
        The mesh's extent is the field of view, from the first voxel's centre to the last one's.
        None where the mask holds no positive and finite voxel.
    """
    for factors in _shrink_factors(spacing):
        index = [_centred(n, f) for n, f in zip(volume.shape, factors, strict=True)]
        grid = np.ix_(*index)
        values = volume[grid].astype(np.float64)
        inside = mask[grid].astype(bool) & (values > 0.0) & (values < np.inf)
        values[~inside] = 0.0
        if np.count_nonzero(values) >= _MIN_SAMPLES:
            break
    box = bounds(values != 0.0)
    if box is None:
        return None
    values = values[box]
    x, y, z = (
        line.astype(np.float64)
        for line in (part[kept] for part, kept in zip(index, box, strict=True))
    )
    i, j, k = (float(max(size - 1, 1)) for size in volume.shape)
    values = np.ascontiguousarray(values)
    return Samples((x, y, z), values, values > 0.0, (0.0, 0.0, 0.0), (i, j, k))


def _shrink_factors(spacing: Spacing) -> list[tuple[int, ...]]:
    """The factors per axis to try, the intended ones first, then ever smaller ones."""
    first = [max(1, round(float(np.clip(_SHRINK * s, *_SHRUNK_MM)) / s)) for s in spacing]
    return [tuple(max(1, f - less) for f in first) for less in range(max(first))]


def _centred(size: int, factor: int) -> NDArray[np.intp]:
    """Every `factor`-th index, as close to the middle of its block as ITK's shrinking takes it."""
    count = max(1, size // factor)
    start = int(np.floor((size - 1) / 2 - factor * (count - 1) / 2 + 0.5))
    return start + factor * np.arange(count)
