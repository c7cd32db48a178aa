"""Frame: one slice with its place, whichever kind of object it came in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from runtime.scan.dicom import values
from runtime.scan.dicom.parse import Dataset

_UID = "SOPInstanceUID"
_GE, _GE_PART = 0x00430010, 0x0043102F  # GEMS_PARM_01's raw data type
_PARTS = ("MAGNITUDE", "PHASE", "REAL", "IMAGINARY")

KEYWORDS: tuple[str | int, ...] = (
    _GE,
    _GE_PART,
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
    _UID,
    "SharedFunctionalGroupsSequence",
    "TemporalPositionIdentifier",
    "TriggerTime",
)

ENHANCED = ("1.2.840.10008.5.1.4.1.1.4.1", "1.2.840.10008.5.1.4.1.1.4.4")
"""Enhanced MR and legacy converted Enhanced MR."""

MR = ("1.2.840.10008.5.1.4.1.1.4", *ENHANCED)

KINDS = ("echo times", "inversion times", "image types", "complex parts")
"""What never differs within one volume, of a frame's `dimensions`."""

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
        instance: SOPInstanceUID of its object; never shown.
        many: whether that is a multi-frame object.
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
    instance: str = ""
    many: bool = False


def frames(data: Dataset, item: int, shape: tuple[int, int], count: int) -> Iterator[Frame]:
    """The frames of a file; of a multi-frame file without a place for each, the first alone."""
    if values.text(data, "SOPClassUID") not in ENHANCED:
        told = (
            *((name, values.text(data, word)) for name, word in _DIMENSIONS.items()),
            ("complex parts", "".join(raw_part(data))),
        )
        yield _frame(item, 0, shape, [data] * 4, told, values.text(data, _UID), count)
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
            (name, values.text(group(sources, sequence), keyword) or values.text(data, whole))
            for name, (sequence, keyword) in _ENHANCED_DIMENSIONS.items()
            for whole in ["ImageType" if name == "image types" else ""]
        )
        yield replace(_frame(item, index, shape, places, told, values.text(data, _UID)), many=True)


def raw_part(data: Dataset) -> tuple[str, ...]:
    """The part of a complex number that GE tells of an image in a field of its own."""
    if "GEMS_PARM_01" not in values.text(data, _GE):
        return ()
    value = values.raw(data, _GE_PART)
    number = int.from_bytes(value, "little") if isinstance(value, bytes) else value
    return _PARTS[number : number + 1] if isinstance(number, int) and number >= 0 else ()


def _frame(
    item: int,
    index: int,
    shape: tuple[int, int],
    places: list[Dataset],
    dimensions: tuple[tuple[str, str], ...],
    instance: str,
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
        instance,
    )


def group(sources: list[Dataset], name: str) -> Dataset:
    """A functional group: the frame's own rules over the one that all share."""
    for source in sources:
        found = values.items(source, name)
        if found:
            return found[0]
    return {}
