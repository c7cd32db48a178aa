"""What an MR image's header says that tells a T1-weighted head from the rest."""

from __future__ import annotations

import re
from dataclasses import dataclass

from runtime.scan.dicom import values
from runtime.scan.dicom.frame import ENHANCED, group, raw_part
from runtime.scan.dicom.image_type import plain
from runtime.scan.dicom.parse import Dataset

KEYWORDS = (
    "AcquisitionContrast",
    "AcquisitionDate",
    "AcquisitionDateTime",
    "AcquisitionTime",
    "AnatomicRegionSequence",
    "BodyPartExamined",
    "ContrastBolusAgent",
    "ContrastBolusAgentSequence",
    "ContrastBolusTotalDose",
    "ContrastBolusVolume",
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
    "SequenceVariant",
    "SeriesDate",
    "SeriesDescription",
    "SeriesTime",
    "Spoiling",
    "SteadyStatePulseSequence",
)

_NAMES = ("SeriesDescription", "ProtocolName", "SequenceName", "PulseSequenceName")
_PULSES = {"GRADIENT": {"GR"}, "SPIN": {"SE"}, "BOTH": {"GR", "SE"}}
_STEADY = ("FREE_PRECESSION", "TRANSVERSE", "TIME_REVERSED")
_NO_AGENT = {"NO", "NONE", "N", "N/A", "NA", "NOT ADMINISTERED", "WITHOUT"}


@dataclass(frozen=True)
class About:
    """Values as the header has them; times in ms, angles in degrees; None or "" if absent.

    Attributes:
        sop_class: UID of the kind of object.
        names: descriptions in lower case, the series' own first, to be searched and never shown.
        image_type: what the image is, of a frame too, and its part of a complex number, as
            `runtime.scan.dicom.image_type.plain` words.
        sequence: "GR", "SE", "EP", "IR", ...
        variant: "SS" for a steady state, "SP" for spoiled, "MP" for prepared, ...
        contrast: AcquisitionContrast, of Enhanced MR.
        body: the part of the body, in lower case.
        agent: whether the fields for it name a contrast agent, or name none.
        acquired: date and time as digits, which sort; None unless both are known; never shown.
    """

    sop_class: str = ""
    names: tuple[str, ...] = ()
    image_type: tuple[str, ...] = ()
    acquisition: str = ""
    sequence: frozenset[str] = frozenset()
    variant: frozenset[str] = frozenset()
    contrast: str = ""
    body: str = ""
    echo: float | None = None
    repetition: float | None = None
    inversion: float | None = None
    flip: float | None = None
    agent: bool | None = None
    acquired: tuple[str, float] | None = None
    photometric: str = ""
    lossy: bool = False


def about(data: Dataset) -> About:
    """Read from a header; what differs between the frames of one object, from its first."""
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
    steady = values.text(data, "SteadyStatePulseSequence").upper() in _STEADY
    spoiled = values.text(data, "Spoiling").upper() not in ("", "NONE")
    return About(
        values.text(data, "SOPClassUID"),
        tuple(values.text(data, name).lower() for name in _NAMES),
        tuple(
            plain(word)
            for word in (
                *(values.words(kind, "FrameType") or values.words(data, "ImageType")),
                *values.words(kind, "ComplexImageComponent"),
                *raw_part(data),
            )
        ),
        values.text(data, "MRAcquisitionType").upper(),
        frozenset(values.words(data, "ScanningSequence"))
        | _PULSES.get(values.text(data, "EchoPulseSequence").upper(), set()),
        frozenset({*values.words(data, "SequenceVariant"), *["SS"] * steady, *["SP"] * spoiled}),
        values.text(data, "AcquisitionContrast").upper(),
        _body(data, sources),
        values.number(echo, "EffectiveEchoTime" if enhanced else "EchoTime"),
        values.number(timing, "RepetitionTime"),
        values.number(modifier, "InversionTimes" if enhanced else "InversionTime"),
        values.number(timing, "FlipAngle"),
        _agent(data, sources),
        _acquired(data),
        values.text(data, "PhotometricInterpretation").upper(),
        values.text(data, "LossyImageCompression") == "01",
    )


def _body(data: Dataset, sources: list[Dataset]) -> str:
    anatomy = group(sources, "FrameAnatomySequence")
    regions = [
        region for s in (data, anatomy) for region in values.items(s, "AnatomicRegionSequence")
    ]
    said = [
        values.text(data, "BodyPartExamined"),
        *(values.text(r, "CodeMeaning") for r in regions),
    ]
    return " ".join(said).strip().lower()


def _agent(data: Dataset, sources: list[Dataset]) -> bool | None:
    """Whether one was given; None if the fields for it are empty."""
    use = group(sources, "ContrastBolusUsageSequence")
    given = values.text(use, "ContrastBolusAgentAdministered").upper()
    if given in ("YES", "NO"):
        return given == "YES"
    amounts = [values.number(data, f"ContrastBolus{name}") for name in ("TotalDose", "Volume")]
    if values.items(data, "ContrastBolusAgentSequence") or any(amounts):
        return True
    word = values.text(data, "ContrastBolusAgent").upper()
    return word not in _NO_AGENT if word else None


def _acquired(data: Dataset) -> tuple[str, float] | None:
    both = values.text(data, "AcquisitionDateTime")
    date = both[:8] or values.text(data, "AcquisitionDate") or values.text(data, "SeriesDate")
    clock = both[8:] or values.text(data, "AcquisitionTime") or values.text(data, "SeriesTime")
    found = re.match(r"(\d{4}\D?\d\d\D?\d\d)/(\d\d:?\d\d:?\d\d(?:\.\d+)?)", f"{date}/{clock}")
    if not found:
        return None
    return re.sub(r"\D", "", found[1]), float(found[2].replace(":", ""))
