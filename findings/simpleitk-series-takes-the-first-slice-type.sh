#!/usr/bin/env bash
# Tool: SimpleITK 2.5.7, ImageSeriesReader (GDCM); pydicom 3.0.2 writes the series
# Expected: a series whose slices have a RescaleSlope of 1, 0.5, 0.5, ... comes out as floats with
#   each slice's values.
# Seen: the first slice decides the type of all: its slope of 1 makes the volume uint16, and the
#   halves of every other slice are cut off (50.5 becomes 50). With a slope of 0.5 in the first
#   slice too the volume is float64 and right.
# Source: run; DICOM PS3.3 C.11.1 (Modality LUT) for the slope.
#
# Exit status: 0 it is still so, 1 it has changed, 2 the packages could not be installed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
{ python3 -m venv env && env/bin/pip install --quiet --no-compile \
    pydicom==3.0.2 SimpleITK==2.5.7 numpy==2.3.5; } || exit 2

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


import SimpleITK as sitk


def first_pixel(folder, slopes):
    def change(d, k):
        d.RescaleSlope, d.RescaleIntercept, d.RescaleType = slopes[k], 0, "US"

    series(folder, change=change)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames([f"{folder}/{k}.dcm" for k in range(6)])
    image = reader.Execute()
    return image.GetPixelIDTypeAsString(), float(sitk.GetArrayFromImage(image)[1, 0, 0])


whole = first_pixel("whole", [1] + [0.5] * 5)
halves = first_pixel("halves", [0.5] * 6)
print("slope of the first slice 1:", whole, "; 0.5:", halves, "; the second slice is 50.5")
raise SystemExit((whole, halves) != (("16-bit unsigned integer", 50.0), ("64-bit float", 50.5)))
PROGRAM
