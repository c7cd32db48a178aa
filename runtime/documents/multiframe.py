"""What segmentations and maps share: a frame for each slice of the source that holds the brain."""

from __future__ import annotations

import numpy as np
from highdicom import PixelMeasuresSequence, PlaneOrientationSequence
from highdicom.spatial import get_volume_positions
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.filewriter import correct_ambiguous_vr
from pydicom.tag import Tag
from pydicom.valuerep import format_number_as_ds

from runtime.documents import encoded
from runtime.documents.coding import Coded
from runtime.documents.encoded import element
from runtime.documents.slices import BrainSlices
from runtime.documents.uid import derived

_FOR_PROCESSING = Coded("121322", "DCM", "Source image for image processing operation")


def lay(
    made: Dataset,
    slices: BrainSlices,
    frames: NDArray[np.uint16] | NDArray[np.bool_],
    every: tuple[int, int],
    derivation: Coded,
    shared: Dataset,
    segment: bool = False,
) -> None:
    """Add frames, and where they lie, to a document that is complete but for them.

    Args:
        made: a segmentation or a parametric map.
        slices: of its source.
        frames: (slices, rows, columns) pixels; bool ones are stored as bits.
        every: along rows and columns, the source's pixels from one of the frames' to the next.
        derivation: how the frames came from the source (PS3.16, CID 7203).
        shared: what all frames share beside their place.
        segment: whether the first dimension is a segment, of which there is one.
    """
    lead, bits = slices.frames[0], 1 if frames.dtype == bool else 16
    across, down = np.reshape(lead.orientation or (), (2, 3))
    places = [[format_number_as_ds(mm) for mm in frame.position or ()] for frame in slices.frames]
    at = np.array([frame.position for frame in slices.frames], dtype=np.float64)
    order = np.argsort(at @ np.cross(down, across), kind="stable")
    orientation = PlaneOrientationSequence("PATIENT", lead.orientation or ())
    (first,) = orientation
    gap = get_volume_positions(at.tolist(), first.ImageOrientationPatient)[0]
    spacing = zip(lead.spacing or (), every, strict=True)
    shared.PlaneOrientationSequence = orientation
    shared.PixelMeasuresSequence = PixelMeasuresSequence(
        pixel_spacing=[mm * n for mm, n in spacing],
        slice_thickness=float(np.linalg.norm(slices.affine[:3, 2])),
        spacing_between_slices=gap,
    )
    made.FrameOfReferenceUID = slices.first.FrameOfReferenceUID
    made.PositionReferenceIndicator = slices.first.get("PositionReferenceIndicator")
    made.SamplesPerPixel, made.PixelRepresentation = 1, 0
    made.PhotometricInterpretation, made.PresentationLUTShape = "MONOCHROME2", "IDENTITY"
    made.NumberOfFrames, made.Rows, made.Columns = frames.shape
    made.BitsAllocated = made.BitsStored = bits
    made.HighBit = bits - 1
    made.LossyImageCompression = "00"
    made.BodyPartExamined = "HEAD"
    _dimensions(made, segment)
    if (
        len(at) > 1
        and get_volume_positions(at.tolist(), first.ImageOrientationPatient, sort=False)[0]
    ):
        made.DimensionOrganizationType = "3D"
    made.SharedFunctionalGroupsSequence = [shared]
    parts = (frames[order[n : n + 8]] for n in range(0, len(order), 8))  # whole bytes, few MB
    made.PixelData = b"".join(
        np.packbits(part, bitorder="little").tobytes() if bits == 1 else part.tobytes()
        for part in parts
    )
    if len(made.PixelData) % 2:
        made.PixelData += b"\0"
    correct_ambiguous_vr(made, True)
    encoded.put(
        made,
        SourceImageSequence=encoded.references(slices.images),
        ReferencedSeriesSequence=encoded.items(
            [
                element(
                    "ReferencedInstanceSequence",
                    encoded.references(dict.fromkeys(slices.images)),
                )
                + element("SeriesInstanceUID", slices.first.SeriesInstanceUID)
            ]
        ),
        PerFrameFunctionalGroupsSequence=_own(slices, places, order, every, derivation, segment),
    )


def _dimensions(made: Dataset, segment: bool) -> None:
    organization = Dataset()
    organization.DimensionOrganizationUID = derived("dimensions", made.SOPInstanceUID)
    made.DimensionOrganizationSequence = [organization]
    position = ("ImagePositionPatient", "PlanePositionSequence", "Image Position Patient")
    segments = (
        "ReferencedSegmentNumber",
        "SegmentIdentificationSequence",
        "Referenced Segment Number",
    )
    index = []
    for keyword, group, label in [*[segments][: int(segment)], position]:
        one = Dataset()
        one.DimensionOrganizationUID = organization.DimensionOrganizationUID
        one.DimensionIndexPointer, one.FunctionalGroupPointer = Tag(keyword), Tag(group)
        one.DimensionDescriptionLabel = label
        index.append(one)
    made.DimensionIndexSequence = index


def _own(
    slices: BrainSlices,
    places: list[list[str]],
    order: NDArray[np.intp],
    every: tuple[int, int],
    derivation: Coded,
    segment: bool,
) -> bytes:
    """The functional groups of each frame."""
    kept = element("SpatialLocationsPreserved", "YES" if every == (1, 1) else "NO")
    why = kept + element("PurposeOfReferenceCodeSequence", encoded.code(_FOR_PROCESSING))
    how = element("DerivationCodeSequence", encoded.code(derivation))
    groups = []
    for number, index in enumerate(order.tolist(), 1):
        frame, (kind, instance) = slices.frames[index], slices.images[index]
        of = element("ReferencedSOPClassUID", kind) + element("ReferencedSOPInstanceUID", instance)
        if frame.many:
            of += element("ReferencedFrameNumber", str(frame.index + 1))
        source = element("SourceImageSequence", encoded.items([of + why]))
        values = np.array([1, number] if segment else [number], dtype="<u4").tobytes()
        content = element("DimensionIndexValues", values)
        position = element("ImagePositionPatient", "\\".join(places[index]))
        groups.append(
            element("DerivationImageSequence", encoded.items([source + how]))
            + element("FrameContentSequence", encoded.items([content]))
            + element("PlanePositionSequence", encoded.items([position]))
        )
    return encoded.items(groups)
