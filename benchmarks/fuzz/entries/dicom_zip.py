"""A zip of a DICOM series: `runtime.scan.read`."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

from benchmarks.fuzz.entries import made_dicom
from benchmarks.fuzz.entry import Entry
from runtime import scan


def _trial(data: bytes, folder: Path) -> None:
    file = folder / "study.zip"
    file.write_bytes(data)
    scan.read(file)


def _seeds() -> list[bytes]:
    found = []
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", method) as archive:
            for number, data in enumerate(made_dicom.slices()):
                archive.writestr(zipfile.ZipInfo(f"study/{number}.dcm"), data, method)
        found.append(out.getvalue())
    return found


_SIGNATURES = (b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07")

ENTRY = Entry(_seeds, _trial, _SIGNATURES)
