#!/usr/bin/env bash
# Tool: highdicom 0.28.2; pydicom 3.0.2, SimpleITK 2.5.7 and dcm2niix 1.0.20260724 for comparison
# Expected: a volume read with the defaults has the values of RescaleSlope and RescaleIntercept; a
#   real-world value map is applied when it is asked for.
# Seen: where slices hold both, imread().get_volume() and get_volume_from_series() apply the
#   real-world map instead (-0.899 for a stored 101). pydicom, SimpleITK and dcm2niix apply the
#   slope (202). apply_real_world_transform=False makes highdicom agree.
# Source: run; highdicom's documentation of Image.get_volume says so of the default; DICOM PS3.3
#   C.7.6.16.2.11.
#
# Exit status: 0 it is still so, 1 it has changed, 2 the packages could not be installed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
{ python3 -m venv env && env/bin/pip install --quiet --no-compile \
    highdicom==0.28.2 pydicom==3.0.2 SimpleITK==2.5.7 dcm2niix==1.0.20260724 nibabel==5.4.2 \
    numpy==2.3.5; } || exit 2

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


import subprocess

import highdicom
import nibabel
import SimpleITK as sitk


def change(d, k):
    d.RescaleSlope, d.RescaleIntercept, d.RescaleType = 2, 0, "US"
    unit, real = Dataset(), Dataset()
    unit.CodeValue, unit.CodingSchemeDesignator, unit.CodeMeaning = "1", "UCUM", "no units"
    real.RealWorldValueFirstValueMapped, real.RealWorldValueLastValueMapped = 0, 65535
    real.RealWorldValueSlope, real.RealWorldValueIntercept = 0.001, -1.0
    real.LUTLabel, real.LUTExplanation = "map", "a map"
    real.MeasurementUnitsCodeSequence = [unit]
    d.RealWorldValueMappingSequence = [real]


slices = series("series", change=change)
one = highdicom.imread("series/1.dcm")
told = {
    "highdicom": one.get_volume().array[0, 0, 0],
    "highdicom, of a series": highdicom.get_volume_from_series(slices).array[-2, 0, 0],
    "highdicom, told not to": one.get_frame(1, apply_real_world_transform=False)[0, 0],
    "pydicom": pydicom.pixels.apply_modality_lut(slices[1].pixel_array, slices[1])[0, 0],
    "SimpleITK": sitk.GetArrayFromImage(sitk.ReadImage("series/1.dcm")).flat[0],
}
command = ["env/bin/dcm2niix", "-f", "out", "-o", ".", "series"]
subprocess.run(command, check=True, capture_output=True)
told["dcm2niix"] = np.sort(nibabel.load("out.nii").get_fdata()[..., 1].ravel())[0]
told = {name: round(float(value), 3) for name, value in told.items()}
print(told)
raise SystemExit(list(told.values()) != [-0.899, -0.899, 202, 202, 202, 202])
PROGRAM
