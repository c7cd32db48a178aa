"""The series that a result is about: its objects' headers, without their pixels."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO, NamedTuple

from pydicom.dataset import Dataset

from fmtool.errors import InputError
from runtime.documents.encoded import Reference
from runtime.scan.dicom import parse
from runtime.scan.dicom.found import Item, is_dicom
from runtime.scan.dicom.limits import Deadline

_REFERENCE = ["SOPClassUID", "SOPInstanceUID"]
WANTED = [  # Patient and General Study modules, and what the documents say about the images
    *_REFERENCE,
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "PatientID",
    "SpecificCharacterSet",
    "PatientName",
    "IssuerOfPatientID",
    "PatientBirthDate",
    "PatientSex",
    "PatientAge",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "StudyDescription",
    "AccessionNumber",
    "ReferringPhysicianName",
    "Modality",
    "FrameOfReferenceUID",
    "PositionReferenceIndicator",
    "Manufacturer",
    "SeriesNumber",
    "SeriesDescription",
]
_VALID = {  # what these must look like (PS3.5, 6.2) before a document may repeat them
    "PatientBirthDate": r"\d{8}",
    "PatientSex": r"[MFO]",
    "PatientAge": r"\d{3}[DWMY]",
    "StudyDate": r"\d{8}",
    "StudyTime": r"\d{2,6}(\.\d{1,6})?",
    "SeriesNumber": r"[+-]?\d{1,10}",
}

_START = 1024  # bytes of a file that hold what it is and which it is
_UID = re.compile(r"[0-9.]{1,64}")
_MOST_CHARACTERS = 1024  # of a value that a document repeats
_MAY_BE_EMPTY = [  # what documents must hold, if only empty (type 2), and scanners leave out
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "ReferringPhysicianName",
    "AccessionNumber",
    "StudyID",
    "StudyDate",
    "StudyTime",
]


class SourceSeries(NamedTuple):
    """A series: its patient and study by the header of one object, and references to all."""

    first: Dataset
    objects: list[Reference]


def read(folder: Path) -> SourceSeries:
    """A series, which is of one patient and study: so the node keeps objects.

    Values that no document may repeat, such as an age of "42", are left empty.

    Raises:
        InputError: if the folder holds no object.
    """
    files = sorted(folder.glob("*.dcm"))
    if not files:
        raise InputError(f"{folder} holds no objects; send the series again")
    deadline = Deadline(str(folder))
    first = _header(files[0], WANTED, deadline)
    for keyword in list(first.dir()):
        if len(str(first.get(keyword) or "")) > _MOST_CHARACTERS:
            delattr(first, keyword)
    for keyword, pattern in _VALID.items():
        if keyword in first and not re.fullmatch(pattern, str(first.get(keyword) or "")):
            setattr(first, keyword, None)
    for keyword in _MAY_BE_EMPTY:
        if keyword not in first:
            setattr(first, keyword, None)
    told = [_reference(file, deadline) for file in files[1:]]
    return SourceSeries(first, [(first.SOPClassUID, first.SOPInstanceUID), *told])


def _reference(file: Path, deadline: Deadline) -> Reference:
    """By the start of a file, whose meta information has it in explicit VR (PS3.10, 7.1)."""
    deadline.check()
    with file.open("rb") as stream:
        start = stream.read(_START)
    found: dict[bytes, str] = {}
    at = 132
    while is_dicom(start) and start[at : at + 2] == b"\x02\0" and len(found) < 2:
        tag, vr = start[at + 2 : at + 4], start[at + 4 : at + 6]
        long = vr in (b"OB", b"UN", b"UT")
        at += 12 if long else 8
        size = int.from_bytes(start[at - 4 if long else at - 2 : at], "little")
        if tag in (b"\x02\0", b"\x03\0"):
            found[tag] = start[at : at + size].decode("ascii", "replace").rstrip("\0 ")
        at += size
    if len(found) == 2 and all(map(_UID.fullmatch, found.values())):
        return found[b"\x02\0"], found[b"\x03\0"]
    whole = _header(file, _REFERENCE, deadline)  # it begins otherwise than the node writes
    return whole.SOPClassUID, whole.SOPInstanceUID


def _header(file: Path, keywords: Sequence[str], deadline: Deadline) -> Dataset:
    """What one object says of that, within the limits of every reading of DICOM.

    Raises:
        InputError: if it goes beyond them.
    """
    item = Item(file.stat().st_size, partial(_opened, file))
    try:
        found: Dataset = parse.header(item, keywords, deadline)
    except parse.ExcessError:
        raise InputError(f"{file} has a header larger than any that a scanner writes") from None
    return found


def _opened(file: Path) -> BinaryIO:
    return file.open("rb")
