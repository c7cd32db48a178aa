"""The slices of the source, for documents that lie on them: their places, objects and voxels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import MRImageStorage

from runtime.documents.encoded import Reference
from runtime.grid import bounds
from runtime.preprocess.pipeline import Prepared
from runtime.scan.dicom.frame import Frame
from runtime.scan.dicom.geometry import Stack


@dataclass(frozen=True)
class BrainSlices:
    """The slices of a series that hold the brain, from the first to the last.

    Attributes:
        first: the header of one object of the series, from `runtime.documents.source`.
        frames: of the slices, in order.
        affine: 4x4, voxel (column, row, slice) of them -> scanner RAS mm.
        mask: bool (slices, rows, columns): the brain.
        images: a reference to the object of each slice.
    """

    first: Dataset
    frames: list[Frame]
    affine: NDArray[np.float64]
    mask: NDArray[np.bool_]
    images: list[Reference]

    @classmethod
    def of(cls, stack: Stack, first: Dataset, prepared: Prepared) -> BrainSlices:
        """Those of a scan that was read from a stack."""
        mask, inside = brain(stack, prepared)
        affine = stack.affine.copy()
        affine[:3, 3] += inside.start * affine[:3, 2]
        frames = stack.frames[inside]
        images = [
            (str(first.SOPClassUID if frame.many else MRImageStorage), frame.instance)
            for frame in frames
        ]
        return cls(first, frames, affine, mask, images)


def brain(stack: Stack, prepared: Prepared) -> tuple[NDArray[np.bool_], slice]:
    """The brain mask in the source's own voxels, on the slices that hold it, and which these are.

    Nothing is interpolated: the prepared voxels are the source's in another order, less a frame.

    Returns:
        bool (slices, rows, columns), and the slices of the stack.
    """
    mapping = np.linalg.inv(prepared.affine) @ stack.affine
    turn = np.rint(mapping[:3, :3]).astype(int)
    start = np.rint(mapping[:3, 3]).astype(int)
    order = np.abs(turn).argmax(axis=0)  # the prepared axis along each of the stack's
    assert np.allclose(np.abs(turn).sum(axis=0), 1)  # a voxel has an axis of its own
    assert np.allclose(mapping[:3], np.column_stack([turn, start]), atol=1e-2)
    box = bounds(prepared.brain)
    assert box is not None  # a scan without a brain is refused
    seen, shared = prepared.brain[box].transpose(order), []
    for axis, prepared_axis in enumerate(order):  # narrowed to what the stack has, as a view
        shift, size = int(start[prepared_axis]) - box[prepared_axis].start, seen.shape[axis]
        if turn[prepared_axis, axis] < 0:
            seen, shift = np.flip(seen, axis), size - 1 - shift
        first = max(0, -shift)
        last = max(first, min(stack.shape[axis], size - shift))
        shared.append(slice(first, last))
        seen = seen[(slice(None),) * axis + (slice(first + shift, last + shift),)]
    found = np.flatnonzero(seen.any(axis=(0, 1)))
    seen = seen[..., found[0] : found[-1] + 1]
    low = shared[2].start + int(found[0])
    mask = np.zeros((seen.shape[2], *stack.shape[1::-1]), dtype=bool)
    held = mask.transpose()[shared[0], shared[1]]
    between = 1 if abs(seen.strides[0]) == 1 else int(np.argmax(np.abs(seen.strides[1:]))) + 1
    for row in range(seen.shape[between]):  # planes of a cache's size; whole, it is slow
        along = (slice(None),) * between + (row,)
        held[along] = seen[along]
    return mask, slice(low, low + seen.shape[2])
