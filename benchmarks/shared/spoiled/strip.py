"""Brain masks as failed skull strips draw them."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from benchmarks.shared.spoiled.tissue import Mask

Random = np.random.Generator


def skull_left(brain: Mask, spacing: np.ndarray, random: Random) -> Mask:
    """12 mm of skull, eyes and neck left on all around."""
    return np.asarray(ndimage.distance_transform_edt(~brain, sampling=spacing) < 12.0)


def eaten(brain: Mask, spacing: np.ndarray, random: Random) -> Mask:
    """The cortex gone: 8 mm taken off all around."""
    return np.asarray(ndimage.distance_transform_edt(brain, sampling=spacing) > 8.0)


def lobe_gone(brain: Mask, spacing: np.ndarray, random: Random) -> Mask:
    """A ball of 45 mm radius about a point of the surface taken away."""
    surface = np.argwhere(brain & ~ndimage.binary_erosion(brain))
    centre = surface[random.integers(len(surface))]
    grids = np.ogrid[tuple(map(slice, brain.shape))]
    squared = sum(((g - c) * s) ** 2 for g, c, s in zip(grids, centre, spacing, strict=True))
    return np.asarray(brain & (squared > 45.0**2))


def side_gone(brain: Mask, spacing: np.ndarray, random: Random) -> Mask:
    """One hemisphere only."""
    middle = int(np.argwhere(brain)[:, 0].mean())
    kept = brain.copy()
    kept[: middle if random.integers(2) else 0] = False
    if kept.sum() == brain.sum():
        kept[middle:] = False
    return kept
