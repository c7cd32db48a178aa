"""Less of the head: the neck outside the field of view, or the face removed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.robustness.head import PerturbedHead

NECK_MM = 5.0
"""What stays below the brain's lowest voxel."""

FRONT_MM, BROW, CLEAR_MM = 15.0, 0.3, 8.0
"""A face begins so far in front of the brain's centre, and ends where it rises above that centre by
this share of the way forward; so near the brain nothing is removed."""


def beheaded(head: PerturbedHead, brain: NDArray[np.bool_]) -> PerturbedHead:
    """The field of view ends `NECK_MM` below the brain, along the array's third axis."""
    lowest = int(np.flatnonzero(brain.any(axis=(0, 1)))[0])
    first = max(lowest - round(NECK_MM / float(head.spacing[2])), 0)
    affine = head.affine.copy()
    affine[:3, 3] += affine[:3, 2] * first
    outline = None if head.outline is None else head.outline[:, :, first:]
    return PerturbedHead(np.ascontiguousarray(head.array[:, :, first:]), affine, outline)


def defaced(head: PerturbedHead, brain: NDArray[np.bool_]) -> PerturbedHead:
    """Zero in front of and below the brain, from the brow down, as defacing tools leave it."""
    index = np.ix_(*(np.arange(n) for n in head.array.shape))
    centre = np.array([c.mean() for c in np.nonzero(brain)])
    forward, up = (
        sum(head.affine[row, a] * (index[a] - centre[a]) for a in range(3)) for row in (1, 2)
    )
    far = ndimage.distance_transform_edt(~brain, sampling=head.spacing) > CLEAR_MM
    face = far & (forward > FRONT_MM) & (up < BROW * forward)
    return head.with_values(np.where(face, np.float32(0.0), head.array))
