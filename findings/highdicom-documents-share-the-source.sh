#!/usr/bin/env bash
# Tool: highdicom 0.28.2, documents (here SEG and SR) built from the same source data sets
# Expected: a document has its own copy of the patient's and the study's attributes: editing one in
#   place, to de-identify it or to correct a name, leaves the source and later documents as they are.
# Seen: it holds the source's DataElement objects themselves, sequences and their items too, and
#   pydicom assigns into an element that is there. seg.PatientName = "Anonymous" renames the first
#   source slice (and no other), the SEG before, the SR after, and every document made from it later.
#   Edit copy.deepcopy(document), or what is read back from its file; a new DataElement
#   (document.add_new) and del are safe at the top level.
# Source: run; SOPClass.copy_patient_and_study_information says that attributes are copied.
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


import copy

import highdicom as hd
from highdicom.seg import Segmentation, SegmentDescription
from pydicom.sr.codedict import codes


def change(d, k):
    d.PatientName, d.PatientID = "Doe^Jane", "123"
    other = Dataset()
    other.PatientID, other.TypeOfPatientID = "old 9", "TEXT"
    d.OtherPatientIDsSequence = [other]


def segmentation():
    made_by = hd.AlgorithmIdentificationSequence("none", codes.DCM.ArtificialIntelligence, "1")
    brain = SegmentDescription(1, "brain", codes.SCT.Organ, codes.SCT.Brain, "AUTOMATIC", made_by)
    mask = np.ones((len(source), 8, 10), np.uint8)
    of = [generate_uid(), 10, generate_uid(), 1, "None", "none", "1", "1"]
    return Segmentation(source, mask, "BINARY", [brain], *of)


def report(seg):
    device = hd.sr.DeviceObserverIdentifyingAttributes(uid=generate_uid())
    observer = hd.sr.ObserverContext(codes.DCM.Device, device)
    volume = hd.sr.Measurement(codes.SCT.Volume, 1500.0, hd.sr.CodedConcept("mL", "UCUM", "mL"))
    group = hd.sr.MeasurementsAndQualitativeEvaluations(
        hd.sr.TrackingIdentifier(generate_uid(), "brain"), measurements=[volume]
    )
    content = hd.sr.MeasurementReport(
        hd.sr.ObservationContext(observer_device_context=observer),
        hd.sr.CodedConcept("24590-2", "LN", "MR Brain"),
        imaging_measurements=[group],
        title=codes.DCM.ImagingMeasurementReport,
    )
    of = [generate_uid(), 11, generate_uid(), 1, "None"]
    return hd.sr.ComprehensiveSR([*source, seg], content, *of, is_complete=True)


def names(**data_sets):
    return {
        name: (str(d.PatientName), d.PatientID, d.OtherPatientIDsSequence[0].PatientID)
        for name, d in data_sets.items()
    }


def edit(d):
    d.PatientName, d.PatientID = "Anonymous", "0"
    d.OtherPatientIDsSequence[0].PatientID = "none"


source = series("series", change=change)
before, seg = segmentation(), segmentation()
sr = report(seg)
kept = {"first": source[0], "second": source[1], "before": before, "sr": sr}

edit(copy.deepcopy(seg))
seg.save_as("seg.dcm")
edit(pydicom.dcmread("seg.dcm"))
replaced = segmentation()
replaced.add_new("PatientName", "PN", "Anonymous")
del replaced.PatientID
untouched = names(seg=seg, **kept)
edit(seg)
told = names(seg=seg, **kept, later=segmentation())
print("copies edited, elements replaced:", untouched, "edited in place:", told, sep="\n")

was, edited = ("Doe^Jane", "123", "old 9"), ("Anonymous", "0", "none")
expected = {name: was if name == "second" else edited for name in told}
raise SystemExit(set(untouched.values()) != {was} or told != expected)
PROGRAM
