"""The part of a field of view that holds the head: without the constant frame that padding left.

The stripping networks see the whole field at a fixed number of voxels: what is padded onto a head
blurs it for them, and a bright frame takes their range of intensities. Frames that belong to a scan
stay, the empty planes around a stripped head or a cleared background. Of a field that is longer
than heads need, with shoulders or air, the part about the head is taken.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from runtime.grid import Box, block_means, bounds
from runtime.preprocess.strip import largest

LONG_MM = 300.0
"""A longer field of view is no head's."""

_LEFT_MM, _ABOVE_MM = 256.0, 16.0  # of a longer one: in all, and above the head's top
_BLOCK_MM = 8.0
_BODY, _DIM = (0.05, 0.98), 0.2  # quantiles: air and tissue; of what is between them, body is above
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
    while (cut := _cut(array, box, _unframed(array, box))) != box:
        box = cut
    x, y, z = (_even(kept, full) for kept, full in zip(box, whole, strict=True))
    return _near(array, (x, y, z), spacing)


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


def _near(array: NDArray[np.float32], box: Box, spacing: NDArray[np.float64]) -> Box:
    """`box`, or where an axis is too long the part about the head, the upper end of the body."""
    long = [(b.stop - b.start) * s > LONG_MM for b, s in zip(box, spacing, strict=True)]
    if not any(long):
        return box
    factors = np.maximum(1, np.rint(_BLOCK_MM / spacing)).astype(np.int64)
    blocks = block_means(array[box], factors)
    low, high = np.quantile(blocks, _BODY)
    body = largest(blocks > low + _DIM * (high - low))
    sides = list(box)
    for axis in (2, 1, 0):  # from the head's top down; then about what lies there
        part = bounds(body)
        if part is None or not long[axis]:
            continue
        size = int(_LEFT_MM / spacing[axis])
        first, last = part[axis].start * factors[axis], part[axis].stop * factors[axis]
        above = int(_ABOVE_MM / spacing[axis]) if axis == 2 else (size - (last - first)) // 2
        stop = min(sides[axis].start + int(last + above), sides[axis].stop)
        start = max(stop - size, sides[axis].start)
        if axis == 2:
            body = body[:, :, (start - sides[2].start) // factors[2] :]
        sides[axis] = slice(start, min(start + size, sides[axis].stop))
    return sides[0], sides[1], sides[2]
