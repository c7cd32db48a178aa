"""Arithmetic of voxel grids that several stages share: the box of a mask, means over blocks."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Box = tuple[slice, slice, slice]


def bounds(mask: NDArray[np.bool_], margin: int = 0) -> Box | None:
    """The smallest box that holds a mask's true voxels; None where there are none.

    Args:
        mask: bool, three axes.
        margin: voxels more on each side, as far as the array goes.
    """
    planes = np.asarray(mask.any(axis=2))
    lines = (planes.any(axis=1), planes.any(axis=0), mask.any(axis=(0, 1)))
    found = [np.flatnonzero(line) for line in lines]
    if found[0].size == 0:
        return None
    x, y, z = (
        slice(max(int(f[0]) - margin, 0), min(int(f[-1]) + 1 + margin, size))
        for f, size in zip(found, mask.shape, strict=True)
    )
    return x, y, z


def block_means(array: NDArray[Any], factors: NDArray[np.int64]) -> NDArray[Any]:
    """Means over blocks of `factors` voxels; zeros complete the last block of an axis."""
    for axis in (2, 1, 0):
        n = int(factors[axis])
        if n == 1:
            continue
        length = -(-array.shape[axis] // n) * n
        summed: NDArray[np.float32] | None = None
        for start in range(n):
            part = array[(slice(None),) * axis + (slice(start, None, n),)]
            if part.shape[axis] < length // n:
                part = np.pad(part, [(0, int(a == axis)) for a in range(3)])
            summed = part.astype(np.float32) if summed is None else summed + part
        assert summed is not None
        array = summed / np.float32(n)
    return array
