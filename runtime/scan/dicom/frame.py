"""Frame: one slice with its place, whichever kind of object it came in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from runtime.scan.dicom import values
from runtime.scan.dicom.parse import Dataset

KEYWORDS = (
    "AcquisitionNumber",
    "DiffusionBValue",
    "EchoTime",
    "ImageOrientationPatient",
    "ImagePositionPatient",
    "ImageType",
    "InversionTime",
    "NumberOfFrames",
    "PerFrameFunctionalGroupsSequence",
    "PixelSpacing",
    "RescaleIntercept",
    "RescaleSlope",
    "SharedFunctionalGroupsSequence",
    "TemporalPositionIdentifier",
    "TriggerTime",
)

ENHANCED = ("1.2.840.10008.5.1.4.1.1.4.1", "1.2.840.10008.5.1.4.1.1.4.4")
"""Enhanced MR and legacy converted Enhanced MR."""

# What tells one volume of a series from the next, in the order in which it is named.
_ENHANCED_DIMENSIONS = {
    "stacks": ("FrameContentSequence", "StackID"),
    "temporal positions": ("FrameContentSequence", "TemporalPositionIndex"),
    "echo times": ("MREchoSequence", "EffectiveEchoTime"),
    "inversion times": ("MRModifierSequence", "InversionTimes"),
    "b-values": ("MRDiffusionSequence", "DiffusionBValue"),
    "image types": ("MRImageFrameTypeSequence", "FrameType"),
    "complex parts": ("MRImageFrameTypeSequence", "ComplexImageComponent"),
    "acquisitions": ("FrameContentSequence", "FrameAcquisitionNumber"),
}
_DIMENSIONS = {
    "temporal positions": "TemporalPositionIdentifier",
    "echo times": "EchoTime",
    "inversion times": "InversionTime",
    "b-values": "DiffusionBValue",
    "image types": "ImageType",
    "acquisitions": "AcquisitionNumber",
    "trigger times": "TriggerTime",
}


@dataclass(frozen=True, slots=True)
class Frame:
    """One slice.

    Attributes:
        item: the number of its file.
        index: the number of the frame in it, from 0.
        shape: rows, columns.
        position: of its first voxel, LPS mm.
        orientation: direction of a row and of a column, LPS.
        spacing: between rows, between columns, mm.
        slope: value = stored * slope + intercept.
        intercept: see `slope`.
        dimensions: what else may tell it from another slice of the place, in words.
        packed: more than 1 for the first of several that have no place of their own.
    """

    item: int
    index: int
    shape: tuple[int, int]
    position: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    spacing: tuple[float, ...] | None
    slope: float
    intercept: float
    dimensions: tuple[tuple[str, str], ...]
    packed: int = 1


def frames(data: Dataset, item: int, shape: tuple[int, int], count: int) -> Iterator[Frame]:
    """The frames of a file; of a multi-frame file without a place for each, the first alone."""
    if values.text(data, "SOPClassUID") not in ENHANCED:
        told = tuple((name, values.text(data, word)) for name, word in _DIMENSIONS.items())
        yield _frame(item, 0, shape, [data] * 4, told, count)
        return
    shared = values.items(data, "SharedFunctionalGroupsSequence")
    groups = values.items(data, "PerFrameFunctionalGroupsSequence")
    if len(groups) != count:
        raise ValueError("not one functional group for each frame")
    for index, own in enumerate(groups):
        sources = [own, *shared[:1]]
        places = [
            group(sources, name)
            for name in (
                "PlanePositionSequence",
                "PlaneOrientationSequence",
                "PixelMeasuresSequence",
                "PixelValueTransformationSequence",
            )
        ]
        told = tuple(
            (name, values.text(group(sources, sequence), keyword))
            for name, (sequence, keyword) in _ENHANCED_DIMENSIONS.items()
        )
        yield _frame(item, index, shape, places, told)


def _frame(
    item: int,
    index: int,
    shape: tuple[int, int],
    places: list[Dataset],
    dimensions: tuple[tuple[str, str], ...],
    packed: int = 1,
) -> Frame:
    position, orientation, measures, transformation = places
    slope = values.number(transformation, "RescaleSlope")
    intercept = values.number(transformation, "RescaleIntercept")
    return Frame(
        item,
        index,
        shape,
        values.numbers(position, "ImagePositionPatient", 3),
        values.numbers(orientation, "ImageOrientationPatient", 6),
        values.numbers(measures, "PixelSpacing", 2),
        1.0 if slope is None or slope == 0.0 else slope,
        0.0 if intercept is None else intercept,
        dimensions,
        packed,
    )


def group(sources: list[Dataset], name: str) -> Dataset:
    """A functional group: the frame's own rules over the one that all share."""
    for source in sources:
        found = values.items(source, name)
        if found:
            return found[0]
    return {}
