"""The slices of the source, for documents that lie on them: as highdicom's sources, and voxels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import MRImageStorage

from runtime.preprocess.pipeline import Prepared
from runtime.scan.dicom.frame import Frame
from runtime.scan.dicom.geometry import Stack

_SAME = (
    "PatientID", "PatientName", "PatientBirthDate", "PatientSex", "PatientAge", "StudyInstanceUID",
    "StudyID", "StudyDate", "StudyTime", "StudyDescription", "AccessionNumber",
    "ReferringPhysicianName", "SeriesInstanceUID", "FrameOfReferenceUID", "SpecificCharacterSet",
    "PositionReferenceIndicator",
)  # fmt: skip


@dataclass(frozen=True)
class BrainSlices:
    """The slices of a series that hold the brain, from the first to the last.

    Attributes:
        first: the header of one object of the series, from `runtime.documents.source`.
        frames: of the slices, in order.
        affine: 4x4, voxel (column, row, slice) of them -> scanner RAS mm.
        mask: bool (slices, rows, columns): the brain.
        images: a single-frame image per slice, as far as highdicom looks at it. A frame of a
            multi-frame object stands for itself under a name of its own; `refer` puts the object's
            in its place. A series may hold several objects or volumes, of which highdicom would
            take one whole.
    """

    first: Dataset
    frames: list[Frame]
    affine: NDArray[np.float64]
    mask: NDArray[np.bool_]
    images: list[Dataset]

    @classmethod
    def of(cls, stack: Stack, first: Dataset, prepared: Prepared) -> BrainSlices:
        """Those of a scan that was read from a stack."""
        mask = brain(stack, prepared)
        found = np.flatnonzero(mask.any(axis=(1, 2)))
        inside = slice(int(found[0]), int(found[-1]) + 1)
        affine = stack.affine.copy()
        affine[:3, 3] += inside.start * affine[:3, 2]
        frames = stack.frames[inside]
        images = _images(frames, first, float(np.linalg.norm(affine[:3, 2])))
        return cls(first, frames, affine, mask[inside], images)

    def refer(self, document: Dataset) -> None:
        """Have a document made of `images` name the multi-frame objects of the frames."""
        if not any(frame.many for frame in self.frames):
            return
        real = {_standing(number): frame for number, frame in enumerate(self.frames)}
        for own in document.PerFrameFunctionalGroupsSequence:
            for derivation in own.get("DerivationImageSequence", ()):
                for item in derivation.SourceImageSequence:
                    item.ReferencedFrameNumber = self._named(item, real).index + 1
        for series in document.ReferencedSeriesSequence:
            once = {}
            for item in series.ReferencedInstanceSequence:
                self._named(item, real)
                once[item.ReferencedSOPInstanceUID] = item
            series.ReferencedInstanceSequence = list(once.values())

    def _named(self, item: Dataset, real: Mapping[str, Frame]) -> Frame:
        frame = real[item.ReferencedSOPInstanceUID]
        item.ReferencedSOPInstanceUID = frame.instance
        item.ReferencedSOPClassUID = self.first.SOPClassUID
        return frame


def _images(frames: Sequence[Frame], first: Dataset, step: float) -> list[Dataset]:
    lead, made = frames[0], []
    for number, frame in enumerate(frames):
        image = Dataset()
        for keyword in _SAME:
            if keyword in first:
                setattr(image, keyword, first[keyword].value)
        image.SOPClassUID = MRImageStorage
        image.SOPInstanceUID = _standing(number) if frame.many else frame.instance
        image.Modality = "MR"
        image.Rows, image.Columns = lead.shape
        image.ImagePositionPatient = list(frame.position or ())
        # A stack's orientation and spacing differ by less than is told of; highdicom wants none.
        image.ImageOrientationPatient = list(lead.orientation or ())
        image.PixelSpacing = list(lead.spacing or ())
        image.SliceThickness = step
        made.append(image)
    return made


def brain(stack: Stack, prepared: Prepared) -> NDArray[np.bool_]:
    """The brain mask in the source's own voxels: (slices, rows, columns).

    Nothing is interpolated: the prepared voxels are the source's in another order, less a frame.
    """
    mapping = np.linalg.inv(prepared.affine) @ stack.affine
    turn = np.rint(mapping[:3, :3]).astype(int)
    start = np.rint(mapping[:3, 3]).astype(int)
    order = np.abs(turn).argmax(axis=0)  # the prepared axis along each of the stack's
    assert np.allclose(np.abs(turn).sum(axis=0), 1)  # a voxel has an axis of its own
    assert np.allclose(mapping[:3], np.column_stack([turn, start]), atol=1e-2)
    mask = np.zeros(stack.shape[::-1], dtype=bool)
    seen, held = prepared.brain.transpose(order), mask.transpose()
    for axis, prepared_axis in enumerate(order):  # both narrowed to what they share, as views
        shift, size = int(start[prepared_axis]), seen.shape[axis]
        if turn[prepared_axis, axis] < 0:
            seen, shift = np.flip(seen, axis), size - 1 - shift
        first = max(0, -shift)
        last = max(first, min(held.shape[axis], size - shift))
        along = (slice(None),) * axis
        held = held[(*along, slice(first, last))]
        seen = seen[(*along, slice(first + shift, last + shift))]
    held[...] = seen
    return mask


def _standing(number: int) -> str:
    return f"2.25.{number + 1}"
