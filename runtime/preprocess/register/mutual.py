"""Mutual information of the template and a scan as a function of pose, with its gradient.

The scan is read at a fixed set of template points. Moving the scan by a small rigid motion is
the same as moving the template by its inverse, so the gradient uses the template's own
derivatives, computed once; the scan needs one interpolation per pose. The joint histogram has
32 x 32 bins, linear weights on both axes and a Gaussian of one bin, close to Mattes' measure as
ANTs uses it. Background counts: points around the brain belong to the set, and the rest of the
template's grid, empty in both volumes, is added to the first bin.

Sources: Viola and Wells 1997 (mutual information); Mattes et al. 2003 (histogram); Baker and
Matthews 2004 (inverse composition).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from fmtool import space
from runtime.preprocess.pyramid import Placed, shrink

Vector = NDArray[np.float64]

_BINS = 32
_RING_MM = 14.0
_TINY = 1e-9
_CLIP_PERCENT = 98.0


def winsorised(volume: Placed) -> Placed:
    """`volume` with its brightest 2 % (vessels, remnants of skin) brought down to the rest."""
    sample = volume.array[::2, ::2, ::2]
    limit = np.percentile(sample[sample > 0], _CLIP_PERCENT)
    return Placed(np.minimum(volume.array, np.float32(limit)), volume.affine)


@dataclass(frozen=True)
class Points:
    """Template points in and around the brain.

    Attributes:
        where: (n, 3) MNI RAS mm.
        value: (n,) template intensity in bins, 0 to 31.
        jacobian: (n, 6), change of `value` per radian and mm when the template is read at a
            point moved by a rotation about `centre` and a shift.
        brain: (n,) whether the point lies in the template's brain.
        centre: (3,) the brain's centre, MNI RAS mm.
        volume_mm3: the brain's volume.
        empty: how many further points, zero in both volumes, the histogram counts.
    """

    where: Vector
    value: Vector
    jacobian: Vector
    brain: NDArray[np.bool_]
    centre: Vector
    volume_mm3: float
    empty: float


def points(template: Placed, brain: Placed, spacing: float, sigma: float, lattice: int) -> Points:
    """Points on the template blurred by `sigma` mm at `spacing` mm per voxel.

    Args:
        template: its intensities, winsorised, on any grid.
        brain: its mask on that grid, 1 inside.
        lattice: every `lattice`-th voxel per axis, and the centres between them when it is even.
    """
    volume_mm3 = float(brain.array.sum(dtype=np.float64)) * brain.voxel_mm3
    volume = shrink(template, spacing, sigma)
    brain = shrink(brain, spacing, sigma)
    distance = ndimage.distance_transform_edt(brain.array < 0.5, sampling=volume.spacing)
    index = np.argwhere(distance <= _RING_MM)
    on = (index % lattice == 0).all(axis=1) | (
        (index % lattice == lattice // 2).all(axis=1) & (lattice % 2 == 0)
    )
    kept = np.array(index[on])
    pick = tuple(kept.T)
    scale = (_BINS - 1) / float(volume.array.max())
    slopes = np.gradient(volume.array.astype(np.float64), *volume.spacing)
    slope = scale * np.stack([s[pick] for s in slopes], axis=1)
    where = kept @ volume.affine[:3, :3].T + volume.affine[:3, 3]
    centre = where[distance[pick] == 0.0].mean(axis=0)
    share = len(kept) / len(index)
    grid = float(np.prod(space.GRID_SHAPE)) / float(np.prod(volume.spacing))
    return Points(
        where=where,
        value=np.clip(scale * volume.array[pick].astype(np.float64), 0.0, _BINS - 1),
        jacobian=np.concatenate([np.cross(where - centre, slope), slope], axis=1),
        brain=distance[pick] == 0.0,
        centre=centre,
        volume_mm3=volume_mm3,
        empty=float(max(grid - len(index), 0.0) * share),
    )


def read(volume: Placed, matrix: Vector, where: Vector) -> Vector:
    """`volume` at template points: trilinear, zero outside; `matrix` is template -> scan RAS mm."""
    to_voxel = np.linalg.inv(volume.affine) @ matrix
    at = to_voxel[:3, :3] @ where.T + to_voxel[:3, 3:]
    found = ndimage.map_coordinates(volume.array, at, order=1, mode="constant", prefilter=False)
    return np.asarray(found, dtype=np.float64)


def information(moving: Placed, fixed: Points, matrix: Vector) -> tuple[float, Vector, Vector]:
    """Mutual information (nats) at a pose, its gradient and its expected curvature.

    Returns:
        The value; the gradient (6,) with respect to a small motion of the *template*, rotation
        in radians about `fixed.centre` then shift in mm; and the positive 6x6 matrix of score
        products that approximates the negative Hessian.
    """
    values = read(moving, matrix, fixed.where)
    values *= (_BINS - 1) / float(moving.array.max())
    table, weights = _histogram(fixed.value, values, fixed.empty)
    ratio = np.log(table + _TINY)
    ratio -= np.log(table.sum(axis=1) + _TINY)[:, None] + np.log(table.sum(axis=0) + _TINY)
    change = np.gradient(ratio, axis=0).ravel()
    score = np.zeros_like(values)
    for cell, weight in weights:
        score += weight * change[cell]
    total = len(values) + fixed.empty
    gradient = fixed.jacobian.T @ score / total
    weighted = fixed.jacobian * score[:, None]
    return float((table * ratio).sum()), gradient, weighted.T @ weighted / total


def _histogram(
    first: Vector, second: Vector, empty: float
) -> tuple[Vector, list[tuple[NDArray[np.int64], Vector]]]:
    """The smoothed joint probabilities, and each point's four cells with their weights."""
    row = np.minimum(first.astype(np.int64), _BINS - 2)
    column = np.minimum(second.astype(np.int64), _BINS - 2)
    down, right = first - row, second - column
    corner = row * _BINS + column
    weights = [
        (corner, (1.0 - down) * (1.0 - right)),
        (corner + 1, (1.0 - down) * right),
        (corner + _BINS, down * (1.0 - right)),
        (corner + _BINS + 1, down * right),
    ]
    table = np.zeros(_BINS * _BINS)
    for cell, weight in weights:
        table += np.bincount(cell, weight, _BINS * _BINS)
    table[0] += empty
    smooth = ndimage.gaussian_filter(table.reshape(_BINS, _BINS), 1.0, mode="nearest")
    return smooth / smooth.sum(), weights
