"""What every document has, whatever it holds: its patient and study, its series, who made it."""

from __future__ import annotations

from datetime import datetime

from highdicom import ContributingEquipment
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian

from runtime.documents.naming import DOCUMENTS, UTF8, description, equipment
from runtime.documents.uid import derived
from runtime.result import Result

PATIENT_AND_STUDY = (
    "PatientID", "PatientName", "IssuerOfPatientID", "PatientBirthDate", "PatientSex", "PatientAge",
    "StudyInstanceUID", "StudyID", "StudyDate", "StudyTime", "StudyDescription", "AccessionNumber",
    "ReferringPhysicianName",
)  # fmt: skip
"""What a document repeats of its source."""


def document(
    result: Result,
    first: Dataset,
    number: int,
    modality: str,
    short: str,
    name: str,
    what: str = "",
    one: tuple[int, str] | None = None,
) -> Dataset:
    """A document without its content.

    highdicom's classes of whole documents read a table of every attribute of the standard, 80 MB.

    Args:
        result: what was predicted.
        first: the header of one object of the source, from `runtime.documents.source`.
        number: of its series, of `naming.DOCUMENTS`.
        modality: of its series.
        short: what it is, for its UIDs.
        name: of this answer: the UIDs derive from it.
        what: it is, for people, if it is no report.
        one: of several of its series: its number, and what tells it from the others.
    """
    made, now = Dataset(), datetime.now()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.preamble, made.SpecificCharacterSet = bytes(128), UTF8
    for keyword in PATIENT_AND_STUDY:
        if keyword in first:  # the value, not the element: nothing of the source is shared
            setattr(made, keyword, first[keyword].value)
    made.SOPClassUID = DOCUMENTS[number][0]
    made.SOPInstanceUID = derived(short, *(one[1:] if one else ()), name)
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    made.InstanceNumber = one[0] if one else 1
    made.InstanceCreationDate = made.ContentDate = f"{now:%Y%m%d}"
    made.InstanceCreationTime = made.ContentTime = f"{now:%H%M%S.%f}"
    made.Modality = modality
    made.SeriesInstanceUID = derived(f"{short} series", name)
    made.SeriesNumber = number
    made.SeriesDescription = description(first, what)
    for keyword, value in equipment(result).items():
        setattr(made, keyword, value)
    made.ContributingEquipmentSequence = [ContributingEquipment.for_highdicom()]
    return made


def acquired(made: Dataset, first: Dataset) -> None:
    """Have a document name the scanner as well, where the source does."""
    if first.get("Manufacturer"):
        scanner = ContributingEquipment(
            manufacturer=first.Manufacturer,
            purpose_of_reference=codes.DCM.AcquisitionEquipment,
            contribution_description="Acquisition equipment of the source image(s)",
        )
        made.ContributingEquipmentSequence.insert(0, scanner)
