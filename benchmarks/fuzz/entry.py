"""Entry: one place where foreign bytes come in, and how a trial sends them there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from pkgutil import resolve_name
from zipfile import ZIP_BZIP2, ZIP_DEFLATED, ZIP_LZMA, ZIP_STORED, ZipFile, ZipInfo

from fmtool.errors import FmtoolError

_PLACES = {
    "nifti": "nifti.ENTRY",
    "task": "task.ENTRY",
    "manifest": "bundle.CLAIMS",
    "bundle_zip": "bundle.ZIP",
    "trust": "bundle.TRUST",
    "robustness": "bundle.ROBUSTNESS",
    "signature": "bundle.SIGNATURE",
    "head": "head.ENTRY",
    "dicom_file": "dicom.FILE",
    "dicom_zip": "dicom.ZIP",
    "dicom_pixels": "dicom.PIXELS",
    "cohort_csv": "cohort.CSV",
    "cohort_bids": "cohort.BIDS",
    "checkpoint": "encoder.CHECKPOINT",
    "encoder": "encoder.FOLDER",
    "monai": "encoder.MONAI",
    "ledger": "ledger.ENTRY",
    "multipart": "multipart.ENTRY",
    "node_object": "node_object.ENTRY",
    "node_wire": "node_wire.ENTRY",
}
NAMES = tuple(_PLACES)
"""Each is an `Entry` of a module of `benchmarks.fuzz.entries`."""


@dataclass(frozen=True)
class Entry:
    """What is fuzzed.

    Attributes:
        seeds: well-formed inputs to start from; they must be taken, or refused, at once.
        trial: sends an input in; told an empty folder of its own. It may raise `refusals`, and
            nothing else.
        tokens: words of the format, to be put anywhere.
        structured: how inputs are taken apart: "bytes", or "json".
        refusals: what says "no" properly.
    """

    seeds: Callable[[], list[bytes]]
    trial: Callable[[bytes, Path], None]
    tokens: tuple[bytes, ...] = ()
    structured: str = "bytes"
    refusals: tuple[type[BaseException], ...] = (FmtoolError,)


def load(name: str) -> Entry:
    """The entry of that name, or another module's by its full name, with what it imports."""
    here = f"benchmarks.fuzz.entries.{_PLACES[name]}" if name in _PLACES else f"{name}.ENTRY"
    entry = resolve_name(here)
    assert isinstance(entry, Entry)
    return entry


def zipped(members: Mapping[str, bytes]) -> list[bytes]:
    """Seeds: the members, by name, in a zip for each way to compress them."""
    found = []
    for method in (ZIP_STORED, ZIP_DEFLATED, ZIP_BZIP2, ZIP_LZMA):
        out = BytesIO()
        with ZipFile(out, "w") as archive:
            for name, content in members.items():
                archive.writestr(ZipInfo(name), content, method)
        found.append(out.getvalue())
    return found
