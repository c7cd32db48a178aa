"""The part of a field of view that holds the head: without the constant frame that padding left.

The stripping networks see the whole field at a fixed number of voxels: what is padded onto a head
blurs it for them, and a bright frame takes their range of intensities. Frames that belong to a scan
stay, the empty planes around a stripped head or a cleared background, unless the field is longer
than heads need.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from runtime.grid import Box

LONG_MM = 300.0
"""A longer field of view is no head's."""

_LEFT_MM = 256.0
_CONSTANT = 0.999  # of a plane; a few voxels may be hot
_CLEARED = 0.9  # of the plane under a frame that belongs to the scan hold the frame's value


def content(array: NDArray[np.float32], spacing: NDArray[np.float64]) -> Box:
    """The box of the head and its own surroundings; the whole array for most heads.

    Args:
        array: (x, y, z), not constant.
        spacing: mm per axis.
    """
    whole: Box = (slice(0, array.shape[0]), slice(0, array.shape[1]), slice(0, array.shape[2]))
    box = whole
    while True:
        inner = _unframed(array, box)
        cut = _cut(array, box, inner)
        if cut == box:
            break
        box = cut
    x, y, z = (
        _short(_even(kept, full), part, float(s))
        for kept, part, full, s in zip(box, inner, whole, spacing, strict=True)
    )
    return x, y, z


def _unframed(array: NDArray[np.float32], box: Box) -> Box:
    """`box` without its outermost planes, as far in as they repeat one value."""
    for axis in range(3):
        planes = np.moveaxis(array[box], axis, 0)
        low, high = 0, len(planes)
        first, last = np.median(planes[0]), np.median(planes[-1])
        while low < high - 1 and (planes[low] == first).mean() >= _CONSTANT:
            low += 1
        while low < high - 1 and (planes[high - 1] == last).mean() >= _CONSTANT:
            high -= 1
        sides = list(box)
        sides[axis] = slice(box[axis].start + low, box[axis].start + high)
        box = (sides[0], sides[1], sides[2])
    return box


def _cut(array: NDArray[np.float32], box: Box, inner: Box) -> Box:
    """`inner` with the frames back that belong to the scan: the planes under them look alike."""
    found = []
    for axis, (outer, part) in enumerate(zip(box, inner, strict=True)):
        planes, there = np.moveaxis(array, axis, 0), inner[:axis] + inner[axis + 1 :]
        ends = []
        for edge, at, last in ((outer.start, part.start, 0), (outer.stop, part.stop, 1)):
            frame, under = np.median(planes[edge - last][there]), planes[at - last][there]
            ends.append(edge if (under == frame).mean() >= _CLEARED else at)
        found.append(slice(*ends))
    return found[0], found[1], found[2]


def _even(kept: slice, full: slice) -> slice:
    """One plane of a cut frame back where an odd number is left.

    Matrices are even, and reconstructions often leave their last plane empty.
    """
    if (kept.stop - kept.start) % 2 == 0 or kept == full:
        return kept
    if kept.stop < full.stop:
        return slice(kept.start, kept.stop + 1)
    return slice(kept.start - 1, kept.stop)


def _short(kept: slice, inner: slice, spacing: float) -> slice:
    """`kept`, or of a field that is too long as much of its frame as a head's field has."""
    if (kept.stop - kept.start) * spacing <= LONG_MM:
        return kept
    extra = max(0, int(np.ceil(_LEFT_MM / spacing)) - (inner.stop - inner.start))
    low = min(inner.start - kept.start, extra // 2)
    return slice(inner.start - low, min(kept.stop, inner.stop + extra - low))
