"""What a series' first header says that tells a T1-weighted head from the rest."""

from __future__ import annotations

from dataclasses import dataclass

from runtime.scan.dicom import values
from runtime.scan.dicom.frame import ENHANCED, group
from runtime.scan.dicom.parse import Dataset

KEYWORDS = (
    "AcquisitionContrast",
    "AcquisitionDate",
    "AcquisitionDateTime",
    "AcquisitionTime",
    "ContrastBolusAgent",
    "ContrastBolusAgentSequence",
    "EchoPulseSequence",
    "FlipAngle",
    "LossyImageCompression",
    "MRAcquisitionType",
    "PhotometricInterpretation",
    "ProtocolName",
    "PulseSequenceName",
    "RepetitionTime",
    "SamplesPerPixel",
    "ScanningSequence",
    "SequenceName",
    "SeriesDate",
    "SeriesDescription",
    "SeriesTime",
)

_NAMES = ("SeriesDescription", "ProtocolName", "SequenceName", "PulseSequenceName")
_PULSES = {"GRADIENT": {"GR"}, "SPIN": {"SE"}, "BOTH": {"GR", "SE"}}
_NO_AGENT = {"", "NO", "NONE", "N", "N/A", "NA", "NOT ADMINISTERED", "WITHOUT"}


@dataclass(frozen=True)
class About:
    """Values as the header has them; times in ms, angles in degrees; None or "" if absent.

    Attributes:
        sop_class: UID of the kind of object.
        image_type: what the image is, of a frame too, and its part of a complex number.
        names: descriptions, in lower case, to be searched for words and never shown.
        sequence: "GR", "SE", "EP", "IR", ...
        contrast: AcquisitionContrast, of Enhanced MR.
        agent: whether a contrast agent is named.
        acquired: date and time as text, which sorts; never shown.
    """

    sop_class: str
    names: str
    image_type: tuple[str, ...]
    acquisition: str
    sequence: frozenset[str]
    contrast: str
    echo: float | None
    repetition: float | None
    inversion: float | None
    flip: float | None
    agent: bool
    acquired: str
    samples: int
    photometric: str
    lossy: bool


def about(data: Dataset) -> About:
    """Read from a header."""
    enhanced = values.text(data, "SOPClassUID") in ENHANCED
    sources = [
        *values.items(data, "PerFrameFunctionalGroupsSequence")[:1],
        *values.items(data, "SharedFunctionalGroupsSequence")[:1],
    ]
    timing, echo, modifier = (
        group(sources, f"{name}Sequence") if enhanced else data
        for name in ("MRTimingAndRelatedParameters", "MREcho", "MRModifier")
    )
    kind = group(sources, "MRImageFrameTypeSequence")
    date = values.text(data, "AcquisitionDate") or values.text(data, "SeriesDate")
    clock = values.text(data, "AcquisitionTime") or values.text(data, "SeriesTime")
    pulses = _PULSES.get(values.text(data, "EchoPulseSequence").upper(), set())
    agents = values.items(data, "ContrastBolusAgentSequence")
    return About(
        values.text(data, "SOPClassUID"),
        " ".join(values.text(data, name) for name in _NAMES).lower(),
        tuple(
            word.upper()
            for word in (
                *values.words(data, "ImageType"),
                *values.words(kind, "FrameType"),
                *values.words(kind, "ComplexImageComponent"),
            )
        ),
        values.text(data, "MRAcquisitionType").upper(),
        frozenset({*values.words(data, "ScanningSequence"), *pulses}),
        values.text(data, "AcquisitionContrast").upper(),
        values.number(echo, "EffectiveEchoTime" if enhanced else "EchoTime"),
        values.number(timing, "RepetitionTime"),
        values.number(modifier, "InversionTimes" if enhanced else "InversionTime"),
        values.number(timing, "FlipAngle"),
        bool(agents) or values.text(data, "ContrastBolusAgent").upper() not in _NO_AGENT,
        values.text(data, "AcquisitionDateTime") or date + clock,
        values.whole(data, "SamplesPerPixel") or 1,
        values.text(data, "PhotometricInterpretation").upper(),
        values.text(data, "LossyImageCompression") == "01",
    )
