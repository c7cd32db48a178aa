"""Small MR series, written with pydicom, as a scanner would send them."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import UID, ExplicitVRLittleEndian, RLELossless

SIDE = 16
MR, ENHANCED = UID("1.2.840.10008.5.1.4.1.1.4"), UID("1.2.840.10008.5.1.4.1.1.4.1")


def _shared() -> Dataset:
    data = Dataset()
    data.SpecificCharacterSet = "ISO_IR 192"
    data.PatientName, data.PatientID, data.PatientAge = "Nobody^None", "ID", "042Y"
    data.StudyInstanceUID, data.SeriesInstanceUID = "1.2.3", "1.2.3.4"
    data.StudyDate, data.Modality, data.Manufacturer = "20260101", "MR", "MAKER"
    data.SeriesNumber, data.SeriesDescription = 3, "t1_mprage"
    data.ImageType, data.MRAcquisitionType = ["ORIGINAL", "PRIMARY", "M"], "3D"
    data.ScanningSequence, data.SequenceVariant = ["GR", "IR"], ["SP", "MP"]
    data.RepetitionTime, data.EchoTime, data.InversionTime, data.FlipAngle = 2300, 2.98, 900, 9
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.Rows = data.Columns = SIDE
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 16, 15, 1
    return data


def _pixels(count: int) -> bytes:
    values = np.random.default_rng(count).integers(0, 900, (count, SIDE, SIDE))
    return values.astype(np.int16).tobytes()


def slices(syntax: UID = ExplicitVRLittleEndian) -> Iterator[bytes]:
    """A series as a file per slice."""
    for number in range(SIDE):
        data = _shared()
        data.SOPClassUID, data.SOPInstanceUID = MR, f"1.2.3.4.{number + 1}"
        data.InstanceNumber = number + 1
        data.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        data.ImagePositionPatient = [0, 0, 1.2 * number]
        data.PixelSpacing, data.SliceThickness = [1.1, 0.9], 1.2
        data.RescaleSlope, data.RescaleIntercept = 1, 0
        data.PixelData = _pixels(number + 1)[: 2 * SIDE * SIDE]
        yield saved(data, syntax)


def multiframe(syntax: UID = ExplicitVRLittleEndian) -> bytes:
    """The series as one Enhanced MR object."""
    data = _shared()
    del data.EchoTime
    data.SOPClassUID, data.SOPInstanceUID = ENHANCED, "1.2.3.5"
    data.AcquisitionContrast, data.EchoPulseSequence, data.NumberOfFrames = "T1", "GRADIENT", SIDE
    measures, plane, shared = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = [1.1, 0.9], 1.2
    plane.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    shared.PixelMeasuresSequence = Sequence([measures])
    shared.PlaneOrientationSequence = Sequence([plane])
    data.SharedFunctionalGroupsSequence = Sequence([shared])
    groups = []
    for number in range(SIDE):
        group, place, content, echo = Dataset(), Dataset(), Dataset(), Dataset()
        place.ImagePositionPatient = [0, 0, 1.2 * number]
        content.StackID, content.InStackPositionNumber = "1", number + 1
        echo.EffectiveEchoTime = 2.98
        group.PlanePositionSequence = Sequence([place])
        group.FrameContentSequence = Sequence([content])
        group.MREchoSequence = Sequence([echo])
        groups.append(group)
    data.PerFrameFunctionalGroupsSequence = Sequence(groups)
    data.PixelData = _pixels(SIDE)
    return saved(data, syntax)


def saved(data: Dataset, syntax: UID) -> bytes:
    """As a file; compressed if the transfer syntax says so and it can be done here."""
    data.file_meta = FileMetaDataset()
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    if syntax == RLELossless or (syntax.is_compressed and not syntax.is_deflated):
        data.compress(syntax, generate_instance_uid=False)
    data.file_meta.TransferSyntaxUID = syntax
    out = io.BytesIO()
    data.save_as(out, enforce_file_format=True)
    return out.getvalue()
