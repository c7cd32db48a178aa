"""DICOM: a file, a zip of a series, and compressed pixels, by `runtime.scan.read`.

One hostile slice comes among good ones, or one hostile multi-frame object. Compressed pixels are
RLE, JPEG-LS and JPEG 2000, decoded by C libraries.
"""

from __future__ import annotations

from pathlib import Path

from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from benchmarks.fuzz.entries import made_dicom
from benchmarks.fuzz.entry import Entry, zipped
from runtime import scan

_GOOD = list(made_dicom.slices())
_TAGS = (b"\x28\x00\x10\x00", b"\x28\x00\x08\x00", b"\xe0\x7f\x10\x00", b"\x00\x52\x30\x92")
_ITEMS = (
    b"\xfe\xff\x00\xe0\xff\xff\xff\xff",
    b"\xfe\xff\x0d\xe0\0\0\0\0",
    b"SQ\0\0\xff\xff\xff\xff",
)
_VALUES = (b"DS\x04\x00nan ", b"IS", b"UN", b"OW", b"UI", b"1e999", b"0\\0\\0", b"\\" * 40, b"CS")


def _alone(data: bytes, folder: Path) -> None:
    file = folder / "one.dcm"
    file.write_bytes(data)
    scan.read(file)


def _file_trial(data: bytes, folder: Path) -> None:
    if len(data) > 5000:  # more than a slice has: multi-frame
        return _alone(data, folder)
    study = folder / "study"
    study.mkdir()
    for number, good in enumerate(_GOOD[1:]):
        (study / f"{number}.dcm").write_bytes(good)
    (study / "hostile.dcm").write_bytes(data)
    scan.read(study)


def _file_seeds() -> list[bytes]:
    syntaxes = (ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian)
    return [
        _GOOD[0],
        made_dicom.multiframe(),
        *(next(made_dicom.slices(syntax)) for syntax in syntaxes),
        *(made_dicom.multiframe(syntax) for syntax in syntaxes),
    ]


FILE = Entry(_file_seeds, _file_trial, _TAGS + _ITEMS + _VALUES)


def _zip_trial(data: bytes, folder: Path) -> None:
    file = folder / "study.zip"
    file.write_bytes(data)
    scan.read(file)


def _zip_seeds() -> list[bytes]:
    return zipped({f"study/{number}.dcm": data for number, data in enumerate(made_dicom.slices())})


_SIGNATURES = (b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07")

ZIP = Entry(_zip_seeds, _zip_trial, _SIGNATURES)


def _pixels_seeds() -> list[bytes]:
    found = []
    for syntax in (RLELossless, JPEGLSLossless, JPEG2000Lossless):
        try:
            found.append(made_dicom.multiframe(syntax))
        except RuntimeError:  # no plugin here encodes it
            continue
    return found


_MARKERS = (b"\xff\x4f\xff\x51", b"\xff\x52", b"\xff\x90", b"\xff\xd8", b"\xff\xf7", b"\xff\xda")
_FRAGMENTS = (b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0\0\0\0\0")

PIXELS = Entry(_pixels_seeds, _alone, _MARKERS + _FRAGMENTS)
