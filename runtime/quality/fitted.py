"""The template moved and scaled to a brain's mask: the common ground of contrast and shape.

The registration does not scale, and a small head would blur the comparison.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import affine_transform

Coarse = NDArray[np.float32]

STEP = 3  # mm; tissue classes are far larger, and 27 times fewer voxels are far quicker
FEW = 100
"""Coarse voxels, 2.7 mL: with fewer in a brain nothing is measured."""


@dataclass(frozen=True)
class Fitted:
    """A brain and the template on a grid of 3 mm.

    Attributes:
        image: the brain's intensities, means over each voxel's share of brain.
        inside: that share, 0 to 1.
        template: the template's intensities, moved and scaled to the brain.
        brain: the share of the template's brain, likewise.
        unmoved: that share where the template itself lies.
    """

    image: Coarse
    inside: Coarse
    template: Coarse
    brain: Coarse
    unmoved: Coarse


def fit(
    volume: NDArray[np.float32], mask: NDArray[np.bool_], template: NDArray[np.float32]
) -> Fitted | None:
    """Lay the template's centre and extent along each axis on the mask's.

    Args:
        volume: intensities, crop axes (z, y, x), 1 mm.
        mask: the brain, same shape.
        template: the T1-weighted template on the same crop, 0 outside its brain.

    Returns:
        None if there is next to no brain.
    """
    inside = coarse(mask.astype(np.float32))
    if np.count_nonzero(inside > 0.5) < FEW:
        return None
    image = coarse(np.where(mask, volume, np.float32(0))) / np.maximum(inside, 1e-3)
    brain = coarse((template > 0).astype(np.float32))
    centre, extent = moments(inside)
    template_centre, template_extent = moments(brain)
    scale = template_extent / np.maximum(extent, 0.1)
    shift = template_centre - scale * centre
    return Fitted(
        np.asarray(image, dtype=np.float32),
        inside,
        affine_transform(coarse(template), np.diag(scale), shift, order=1),
        affine_transform(brain, np.diag(scale), shift, order=1),
        brain,
    )


def coarse(array: Coarse) -> Coarse:
    """Means of blocks of `STEP` voxels along each axis; the crop's axes are multiples of it."""
    for axis in range(3):
        lead = np.moveaxis(array, axis, 0)
        total = lead[0::STEP].copy()
        for start in range(1, STEP):
            total += lead[start::STEP]
        array = np.moveaxis(total, 0, axis)
    return np.asarray(array / np.float32(STEP**3), dtype=np.float32)


def moments(weight: Coarse) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The centre and the standard deviation along each axis, in voxels."""
    centre, extent = np.empty(3), np.empty(3)
    for axis in range(3):
        others = tuple(a for a in range(3) if a != axis)
        profile = weight.sum(axis=others, dtype=np.float64)
        profile /= profile.sum()
        index = np.arange(profile.size)
        centre[axis] = profile @ index
        extent[axis] = np.sqrt(profile @ (index - centre[axis]) ** 2)
    return centre, extent
