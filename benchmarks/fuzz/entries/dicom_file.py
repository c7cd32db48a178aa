"""DICOM files: one hostile slice among good ones, or one hostile multi-frame object."""

from __future__ import annotations

from pathlib import Path

from pydicom.uid import DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian

from benchmarks.fuzz.entries import made_dicom
from benchmarks.fuzz.entry import Entry
from runtime import scan

_GOOD = list(made_dicom.slices())
_TAGS = (b"\x28\x00\x10\x00", b"\x28\x00\x08\x00", b"\xe0\x7f\x10\x00", b"\x00\x52\x30\x92")
_ITEMS = (
    b"\xfe\xff\x00\xe0\xff\xff\xff\xff",
    b"\xfe\xff\x0d\xe0\0\0\0\0",
    b"SQ\0\0\xff\xff\xff\xff",
)
_VALUES = (b"DS\x04\x00nan ", b"IS", b"UN", b"OW", b"UI", b"1e999", b"0\\0\\0", b"\\" * 40, b"CS")


def _trial(data: bytes, folder: Path) -> None:
    if len(data) > 5000:  # more than a slice has: multi-frame
        file = folder / "one.dcm"
        file.write_bytes(data)
        scan.read(file)
        return
    study = folder / "study"
    study.mkdir()
    for number, good in enumerate(_GOOD[1:]):
        (study / f"{number}.dcm").write_bytes(good)
    (study / "hostile.dcm").write_bytes(data)
    scan.read(study)


def _seeds() -> list[bytes]:
    syntaxes = (ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian)
    return [
        _GOOD[0],
        made_dicom.multiframe(),
        *(next(made_dicom.slices(syntax)) for syntax in syntaxes),
        *(made_dicom.multiframe(syntax) for syntax in syntaxes),
    ]


ENTRY = Entry(_seeds, _trial, _TAGS + _ITEMS + _VALUES)
