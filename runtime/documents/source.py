"""The series that a result is about: its objects' headers, without their pixels."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO

from pydicom.dataset import Dataset

from fmtool.errors import InputError
from runtime.scan.dicom import parse
from runtime.scan.dicom.found import Item
from runtime.scan.dicom.limits import Deadline

_REFERENCE = [  # what a reference to one object takes
    "SOPClassUID",
    "SOPInstanceUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "PatientID",
]
WANTED = [  # Patient and General Study modules, and what the documents say about the images
    *_REFERENCE,
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


def read(folder: Path) -> Sequence[Dataset]:
    """The headers of a series; the first with the patient and the study, the rest as references.

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
    rest = [_header(file, _REFERENCE, deadline) for file in files[1:]]
    for header in rest:
        header.PatientID = first.PatientID  # what the node keeps together is of one patient
    return [first, *rest]


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
