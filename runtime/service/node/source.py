"""The series that a result is about: its objects' headers, without their pixels."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset

from fmtool.errors import InputError

_REFERENCE = [  # what a reference to one object takes
    "SOPClassUID",
    "SOPInstanceUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "PatientID",
]
_WANTED = [  # Patient and General Study modules, and what the documents say about the images
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
    first = dcmread(files[0], stop_before_pixels=True, specific_tags=list(_WANTED))
    for keyword, pattern in _VALID.items():
        if keyword in first and not re.fullmatch(pattern, str(first.get(keyword) or "")):
            setattr(first, keyword, None)
    for keyword in _MAY_BE_EMPTY:
        if keyword not in first:
            setattr(first, keyword, None)
    rest = [
        dcmread(file, stop_before_pixels=True, specific_tags=list(_REFERENCE)) for file in files[1:]
    ]
    for header in rest:
        header.PatientID = first.PatientID  # what the node keeps together is of one patient
    return [first, *rest]
