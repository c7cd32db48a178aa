#!/usr/bin/env bash
# Tool: SimpleITK 2.5.7 and dcm2niix 1.0.20260724 on a SEG object of highdicom 0.28.2; dcmqi 1.5.7
#   for comparison
# Expected: a binary segmentation that holds the slices 1, 2 and 5 of its source (empty ones are
#   left out, the usual way) is laid at its places, with the gap filled, or refused.
# Seen: SimpleITK answers three adjacent slices with voxels of 1 x 1 x 1 mm in place of 1.25 x 1.5
#   x 2, dcm2niix three slices 2 mm apart and exit code 0: the gap is gone. highdicom and dcmqi
#   give five slices with the gap in them.
# Source: run; DICOM PS3.3 A.51 (Segmentation IOD): frames stand where their functional groups
#   say.
#
# Exit status: 0 it is still so, 1 it has changed, 2 the packages could not be installed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
{ python3 -m venv env && env/bin/pip install --quiet --no-compile \
    highdicom==0.28.2 pydicom==3.0.2 SimpleITK==2.5.7 dcm2niix==1.0.20260724 dcmqi==1.5.7 \
    nibabel==5.4.2 numpy==2.3.5; } || exit 2

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
from pydicom.sr.codedict import codes

sitk.ProcessObject.SetGlobalWarningDisplay(False)
source = series("series", slices=8)
mask = np.zeros((8, 8, 10), np.uint8)
mask[[1, 2, 5], 2:4, 3:5] = 1
made_by = highdicom.AlgorithmIdentificationSequence(
    name="none", version="1", family=codes.DCM.ArtificialIntelligence
)
segment = highdicom.seg.SegmentDescription(
    segment_number=1, segment_label="brain", segmented_property_category=codes.SCT.Organ,
    segmented_property_type=codes.SCT.Brain, algorithm_type="AUTOMATIC",
    algorithm_identification=made_by,
)
os.makedirs("seg")
highdicom.seg.Segmentation(
    source_images=source, pixel_array=mask, segmentation_type="BINARY",
    segment_descriptions=[segment], series_instance_uid=generate_uid(), series_number=9,
    sop_instance_uid=generate_uid(), instance_number=1, manufacturer="None",
    manufacturer_model_name="none", software_versions="1", device_serial_number="1",
).save_as("seg/seg.dcm")

volume = highdicom.seg.segread("seg/seg.dcm").get_volume(combine_segments=True)
image = sitk.ReadImage("seg/seg.dcm")
subprocess.run(
    ["env/bin/dcm2niix", "-f", "out", "-o", ".", "seg"], check=True, capture_output=True
)
nifti = nibabel.load("out.nii")
subprocess.run(
    ["env/bin/segimage2itkimage", "--inputDICOM", "seg/seg.dcm", "--outputDirectory", ".", "-t", "nrrd"],
    check=True, capture_output=True,
)
dcmqi = sitk.ReadImage("1.nrrd")
told = {
    "highdicom": (volume.array.shape[0], volume.spacing[0]),
    "dcmqi": (dcmqi.GetSize()[2], dcmqi.GetSpacing()[2]),
    "SimpleITK": (image.GetSize()[2], image.GetSpacing()[2]),
    "dcm2niix": (nifti.shape[2], float(nifti.header.get_zooms()[2])),
}
print("slices, and mm between them:", told)
raise SystemExit(list(told.values()) != [(5, 2.0), (5, 2.0), (3, 1.0), (3, 2.0)])
PROGRAM
