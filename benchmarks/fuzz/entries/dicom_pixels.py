"""Compressed pixels of DICOM: RLE, JPEG-LS and JPEG 2000, decoded by C libraries."""

from __future__ import annotations

from pathlib import Path

from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless

from benchmarks.fuzz.entries import made_dicom
from benchmarks.fuzz.entry import Entry
from runtime import scan


def _trial(data: bytes, folder: Path) -> None:
    file = folder / "one.dcm"
    file.write_bytes(data)
    scan.read(file)


def _seeds() -> list[bytes]:
    found = []
    for syntax in (RLELossless, JPEGLSLossless, JPEG2000Lossless):
        try:
            found.append(made_dicom.multiframe(syntax))
        except RuntimeError:  # no plugin here encodes it
            continue
    return found


_MARKERS = (b"\xff\x4f\xff\x51", b"\xff\x52", b"\xff\x90", b"\xff\xd8", b"\xff\xf7", b"\xff\xda")
_ITEMS = (b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0\0\0\0\0")

ENTRY = Entry(_seeds, _trial, _MARKERS + _ITEMS)
