"""What documents are called, by whom they say to be made, and which of their names follow others.

All of one answer: series 9501 the report, 9502 the page, 9503 the brain mask, 9504 the maps.
"""

from __future__ import annotations

from pydicom.dataset import Dataset
from pydicom.uid import (
    ComprehensiveSRStorage,
    ParametricMapStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)

from fmtool import __version__
from runtime.result import Result

UTF8 = "ISO_IR 192"
"""What documents are written in, whatever the source was (PS3.3, C.12.1.1.2)."""

REPORT, PAGE, MASK, MAPS = 9501, 9502, 9503, 9504
"""Series numbers, beyond those that scanners give."""

DOCUMENTS = {
    REPORT: (ComprehensiveSRStorage, "the answers, as measurements of the segmented brain"),
    PAGE: (SecondaryCaptureImageStorage, "the answers, as a picture"),
    MASK: (SegmentationStorage, "the brain mask"),
    MAPS: (ParametricMapStorage, "where an answer comes from, per head that beat its baseline"),
}
"""By the number of its series: a document's SOP class, and what it holds."""


def series(first: Dataset) -> str:
    """What a series is called: "series 4"; "a series" if it has no number."""
    number = first.get("SeriesNumber")
    return "a series" if number is None else f"series {number}"


def description(first: Dataset, what: str = "") -> str:
    """The SeriesDescription of what is made of a series; `what` it is, if it is no report."""
    of = f"fmtool{f' {what}' if what else ''} of {series(first)}"
    return f"{of}: research, not for clinical use"


def equipment(result: Result) -> dict[str, str]:
    """What every document says of the equipment that made it."""
    return {
        "Manufacturer": "fmtool",
        "ManufacturerModelName": long(result.bundle["name"]),
        "SoftwareVersions": __version__,
        "DeviceSerialNumber": str(result.bundle["digest"])[:64],
    }


def long(text: object) -> str:
    """Text for the VR LO."""
    return str(text).replace("\\", "/")[:64]
