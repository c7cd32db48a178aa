#!/usr/bin/env bash
# Tool: pydicom 3.0.2, pixels.apply_modality_lut; highdicom 0.28.2 makes the object
# Expected: of an Enhanced MR object, whose slope stands in each frame's functional groups, the
#   rescaled values, or an error.
# Seen: the stored values come back as they are (1, 101, 201, ...), without a warning: the
#   function looks at the top of the data set alone, where such objects have no slope. highdicom's
#   get_volume gives 0.5, 50.5, 60.25, ...
# Source: run; DICOM PS3.3 C.7.6.16.2.9 (Pixel Value Transformation Macro).
#
# Exit status: 0 it is still so, 1 it has changed, 2 the packages could not be installed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
{ python3 -m venv env && env/bin/pip install --quiet --no-compile \
    highdicom==0.28.2 pydicom==3.0.2 numpy==2.3.5; } || exit 2

env/bin/python -W ignore - <<'PROGRAM'
import os
import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid


def series(folder, slices=6, change=None):
    """MR slices of 8 x 10 pixels, 2 mm apart; `change(dataset, k)` may alter each."""
    os.makedirs(folder)
    study, number, frame = generate_uid(), generate_uid(), generate_uid()
    for k in range(slices):
        d = Dataset()
        d.file_meta = FileMetaDataset()
        d.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        d.SOPClassUID, d.SOPInstanceUID = MRImageStorage, generate_uid()
        d.StudyInstanceUID, d.SeriesInstanceUID, d.FrameOfReferenceUID = study, number, frame
        d.PatientName = d.PatientID = d.PatientBirthDate = d.PatientSex = d.AccessionNumber = ""
        d.StudyID = d.ReferringPhysicianName = d.PositionReferenceIndicator = d.Laterality = ""
        d.StudyDate = d.SeriesDate = d.AcquisitionDate = d.ContentDate = "20260101"
        d.StudyTime = d.SeriesTime = d.AcquisitionTime = d.ContentTime = "120000"
        d.Modality, d.Manufacturer, d.SeriesNumber, d.InstanceNumber = "MR", "None", 3, k + 1
        d.ImageType = ["ORIGINAL", "PRIMARY", "M"]
        d.ScanningSequence, d.SequenceVariant, d.MRAcquisitionType = "GR", "SP", "3D"
        d.ScanOptions, d.EchoTrainLength = "", 1
        d.RepetitionTime, d.EchoTime, d.FlipAngle, d.MagneticFieldStrength = 2000, 3, 9, 3
        d.SliceThickness = d.SpacingBetweenSlices = 2
        d.PixelSpacing, d.ImageOrientationPatient = [1.5, 1.25], [1, 0, 0, 0, 1, 0]
        d.ImagePositionPatient = [-5, -6, 2 * k - 7]
        d.SamplesPerPixel, d.PhotometricInterpretation = 1, "MONOCHROME2"
        d.Rows, d.Columns, d.PixelRepresentation = 8, 10, 0
        d.BitsAllocated, d.BitsStored, d.HighBit = 16, 16, 15
        d.PixelData = (np.arange(80, dtype=np.uint16) + 100 * k + 1).tobytes()
        if change:
            change(d, k)
        d.save_as(f"{folder}/{k}.dcm", enforce_file_format=True)
    return [pydicom.dcmread(f"{folder}/{k}.dcm") for k in range(slices)]


import highdicom


def change(d, k):
    d.RescaleSlope, d.RescaleIntercept, d.RescaleType = (0.5, 0, "US") if k < 2 else (0.25, 10, "US")


slices = series("series", change=change)
enhanced = highdicom.legacy.LegacyConvertedEnhancedMRImage(
    slices, series_instance_uid=generate_uid(), series_number=4,
    sop_instance_uid=generate_uid(), instance_number=1,
)
enhanced.save_as("enhanced.dcm")
read = pydicom.dcmread("enhanced.dcm")
plain = pydicom.pixels.apply_modality_lut(read.pixel_array, read)[:, 0, 0]
right = highdicom.imread("enhanced.dcm").get_volume().array[:, 0, 0]
print("pydicom:", sorted(plain.tolist()), "highdicom:", sorted(right.tolist()))
raise SystemExit(not (
    sorted(plain.tolist()) == [1, 101, 201, 301, 401, 501]
    and sorted(right.tolist()) == [0.5, 50.5, 60.25, 85.25, 110.25, 135.25]
))
PROGRAM
