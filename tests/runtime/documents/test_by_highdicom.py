"""The documents are those that highdicom's own classes of whole documents make, slowly."""

from __future__ import annotations

import highdicom
import numpy as np
import pytest
from highdicom import _standard_utils
from highdicom.content import PixelMeasuresSequence, PlaneOrientationSequence, PlanePositionSequence
from highdicom.pm import ParametricMap
from highdicom.sc import SCImage
from highdicom.seg import Segmentation
from highdicom.sr import ComprehensiveSR
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import (
    ComprehensiveSRStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    MRImageStorage,
)

from runtime.documents import page, parametric_map, segmentation, slices, source, sr
from runtime.documents.document import PATIENT_AND_STUDY
from runtime.documents.uid import derived
from runtime.service.answer import Order
from runtime.service.node.documents import _file, documents

CASES = {
    "axial": ("slices", {"plane": "axial", "Manufacturer": ""}),
    "feet first": ("slices", {"plane": "feet first", "StudyDescription": "Kopf\\Schädel ±"}),
    "oblique": ("slices", {"plane": "sagittal", "turn": 23.0, "IssuerOfPatientID": "HOSPITAL"}),
    "coarse": ("slices", {"plane": "coronal"}),
    "enhanced, frames in no order": ("enhanced", {"plane": "coronal", "turn": 11.0, "mixed": True}),
}
PASSING = {
    *(f"{what}{how}" for what in ("InstanceCreation", "Content") for how in ("Date", "Time")),
    *("DateOfSecondaryCapture", "TimeOfSecondaryCapture", "ContributionDateTime"),
    "DimensionOrganizationUID",
}  # fmt: skip


@pytest.fixture(params=CASES, scope="module")
def case(request, kit, tmp_path_factory):
    how, words = CASES[request.param]
    make = kit.maker(tmp_path_factory.mktemp("series"))
    if request.param == "coarse":  # a map has its every pixel
        make.spacing = (4.3, 3.9, 2.0)
    getattr(make, how)(**words, SpecificCharacterSet="ISO_IR 192")
    result, series = kit.result(make.folder), source.read(make.folder)
    place = slices.BrainSlices.of(result.stack, series.first, result.prepared)
    return make.folder, result, series, place


def told(data, at=""):
    """All that a document says, by where it says it; its own times and UIDs of no meaning left."""
    found = {}
    for element in data:
        where = f"{at}{element.tag} {element.keyword}"
        if element.VR == "SQ":
            found[where] = len(element.value)
            for number, item in enumerate(element.value):
                found |= told(item, f"{where}[{number}] ")
        elif element.keyword in PASSING:
            found[where] = bool(element.value)
        else:
            found[where] = (element.VR, element.value)
    return found


def written(document, folder):
    (folder / "written.dcm").write_bytes(_file(document))
    return dcmread(folder / "written.dcm")


def plain(made):
    """What the reference is told of a document beside what is compared: its names."""
    return {
        "series_instance_uid": made.SeriesInstanceUID,
        "series_number": made.SeriesNumber,
        "sop_instance_uid": made.SOPInstanceUID,
        "instance_number": made.InstanceNumber,
        "series_description": made.SeriesDescription,
        "manufacturer": "fmtool",
        "manufacturer_model_name": made.ManufacturerModelName,
        "software_versions": made.SoftwareVersions,
        "device_serial_number": made.DeviceSerialNumber,
        "specific_character_set": "ISO_IR 192",
    }


def images(place):
    """A single-frame image for each slice; a frame of several is called by its number."""
    found = []
    for number, frame in enumerate(place.frames):
        image = Dataset()
        for keyword in (*PATIENT_AND_STUDY, "SeriesInstanceUID", "FrameOfReferenceUID"):
            if keyword in place.first:
                setattr(image, keyword, place.first[keyword].value)
        image.SOPClassUID = MRImageStorage
        image.SOPInstanceUID = f"2.25.{number + 1}" if frame.many else frame.instance
        image.Modality = "MR"
        image.Rows, image.Columns = place.frames[0].shape
        image.ImagePositionPatient = list(frame.position)
        image.ImageOrientationPatient = list(place.frames[0].orientation)
        image.PixelSpacing = list(place.frames[0].spacing)
        image.SliceThickness = float(np.linalg.norm(place.affine[:3, 2]))
        found.append(image)
    return found


def referring(reference, place):
    """Have a reference name the objects of frames."""
    real = {f"2.25.{number + 1}": frame for number, frame in enumerate(place.frames)}

    def name(item):
        frame = real.get(item.ReferencedSOPInstanceUID)
        if frame is not None:
            item.ReferencedSOPInstanceUID = frame.instance
            item.ReferencedSOPClassUID = place.first.SOPClassUID
        return frame

    for own in reference.PerFrameFunctionalGroupsSequence:
        for item in own.DerivationImageSequence[0].SourceImageSequence:
            if (frame := name(item)) is not None:
                item.ReferencedFrameNumber = frame.index + 1
    (series,) = reference.ReferencedSeriesSequence
    for item in [*reference.SourceImageSequence, *series.ReferencedInstanceSequence]:
        name(item)
    once = {item.ReferencedSOPInstanceUID: item for item in series.ReferencedInstanceSequence}
    series.ReferencedInstanceSequence = list(once.values())
    reference.BodyPartExamined = "HEAD"
    return reference


def test_a_segmentation(case, tmp_path):
    _, result, _, place = case
    made = segmentation.segmentation(result, place, "a")
    (described,) = made.SegmentSequence
    reference = Segmentation(
        source_images=images(place),
        pixel_array=place.mask.view(np.uint8),
        segmentation_type="BINARY",
        segment_descriptions=[highdicom.seg.SegmentDescription.from_dataset(described)],
        omit_empty_frames=False,
        content_label="BRAIN",
        content_description="Brain mask",
        **plain(made),
    )
    again = written(made, tmp_path)
    assert told(again) == told(written(referring(reference, place), tmp_path))
    assert again.pixel_array.sum() == result.prepared.brain.sum()


def test_a_map(case, tmp_path):
    _, result, _, place = case
    made = parametric_map.parametric_map(result, result.predictions["age"], 3, place, "a")
    again = written(made, tmp_path)
    (shared,) = again.SharedFunctionalGroupsSequence
    (mapping,), (window,) = shared.RealWorldValueMappingSequence, shared.FrameVOILUTSequence
    (measures,) = shared.PixelMeasuresSequence
    lead = place.frames[0]
    order = [list(map(float, g.PlanePositionSequence[0].ImagePositionPatient))
             for g in again.PerFrameFunctionalGroupsSequence]  # fmt: skip
    by_slice = np.argmin(
        np.abs(np.array([f.position for f in place.frames])[:, None] - order).sum(-1), 1
    )
    (code,) = mapping.QuantityDefinitionSequence[0].ConceptCodeSequence
    reference = ParametricMap(
        source_images=images(place),
        pixel_array=again.pixel_array[by_slice],
        contains_recognizable_visual_features=False,
        real_world_value_mappings=[
            highdicom.pm.RealWorldValueMapping(
                lut_label=mapping.LUTLabel,
                lut_explanation=mapping.LUTExplanation,
                unit=highdicom.sr.CodedConcept("a", "UCUM", "year"),
                value_range=(0, 65535),
                slope=mapping.RealWorldValueSlope,
                intercept=mapping.RealWorldValueIntercept,
                quantity_definition=highdicom.sr.CodedConcept.from_dataset(code),
            )
        ],
        voi_lut_transformations=[
            highdicom.VOILUTTransformation(
                window_center=int(window.WindowCenter), window_width=int(window.WindowWidth)
            )
        ],
        pixel_measures=PixelMeasuresSequence(
            pixel_spacing=list(map(float, measures.PixelSpacing)),
            slice_thickness=float(np.linalg.norm(place.affine[:3, 2])),
        ),
        plane_orientation=PlaneOrientationSequence("PATIENT", lead.orientation),
        plane_positions=[PlanePositionSequence("PATIENT", f.position) for f in place.frames],
        content_label="MAP",
        content_description="Where the answer for age comes from",
        **plain(made),
    )
    assert told(again) == told(written(referring(reference, place), tmp_path))


@pytest.mark.parametrize("earlier", [(), ("x", "y")])
def test_a_report(case, tmp_path, earlier):
    folder, result, series, place = case
    brain = segmentation.segmentation(result, place, "a")
    made = sr.report(result, series, "a", earlier, brain)
    content = Dataset()
    for element in made:
        if element.tag.group == 0x0040 and element.keyword not in (
            "CurrentRequestedProcedureEvidenceSequence", "PerformedProcedureCodeSequence",
        ):  # fmt: skip
            content.add(element)
    headers = [dcmread(file, stop_before_pixels=True) for file in sorted(folder.iterdir())]
    before = []
    for one in earlier:
        other = Dataset()
        other.StudyInstanceUID, other.SOPClassUID = brain.StudyInstanceUID, ComprehensiveSRStorage
        other.SeriesInstanceUID, other.SOPInstanceUID = (
            derived("sr series", one),
            derived("sr", one),
        )
        before.append(other)
    reference = ComprehensiveSR(
        evidence=[series.first, *headers[1:], brain],
        content=content,
        previous_versions=before or None,
        is_complete=True,
        is_final=False,
        is_verified=False,
        coding_schemes=list(made.CodingSchemeIdentificationSequence),
        **plain(made),
    )
    assert told(written(made, tmp_path)) == told(written(reference, tmp_path))


def test_a_page(case, tmp_path):
    folder, result, series, _ = case
    made = page.page(result, series.first, "a")
    first = source.read(folder).first
    reference = SCImage.from_ref_dataset(
        first,
        pixel_array=np.asarray(page.picture(result, "series 3")),
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        patient_orientation=("L", "P"),
        transfer_syntax_uid=ExplicitVRLittleEndian,
        **plain(made),
    )
    reference.BodyPartExamined, reference.BurnedInAnnotation = "HEAD", "NO"
    reference.copy_patient_and_study_information(first)
    assert told(written(made, tmp_path)) == told(written(reference, tmp_path))


def test_no_document_shares_an_element_with_its_source_or_with_another(case):
    _, result, series, place = case
    before = series.first.to_json()
    brain = segmentation.segmentation(result, place, "a")
    made = [
        sr.report(result, series, "a", (), brain),
        page.page(result, series.first, "a"),
        brain,
        *(parametric_map.parametric_map(result, result.predictions["age"], n, place, "a")
          for n in (1, 2)),
    ]  # fmt: skip
    whole = [_file(document) for document in made]
    made[0].walk(lambda data, element: element.VR == "SQ" or setattr(element, "value", None))
    assert series.first.to_json() == before
    assert [_file(document) for document in made[1:]] == whole[1:]
    assert _file(made[0]) != whole[0]


def test_documents_are_made_without_the_table_of_every_attribute(case, tmp_path):
    """It takes highdicom 80 MB and half a second."""
    folder, result, _, _ = case
    _standard_utils.get_module_attribute_map.cache_clear()
    place = tmp_path / "inbox" / "answering"
    place.mkdir(parents=True)
    files = documents(Order(folder, place, "s", "0" * 64), result, None, fhir=True)
    assert len(files) == 5
    assert _standard_utils.get_module_attribute_map.cache_info().currsize == 0


@pytest.mark.parametrize(
    "syntax",
    [ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian,
     ExplicitVRBigEndian],
)  # fmt: skip
def test_a_series_is_known_by_the_start_of_its_files(make, syntax):
    make.slices(syntax=syntax)
    files = sorted(make.folder.iterdir())
    unnamed = dcmread(files[3])
    del unnamed.file_meta.MediaStorageSOPInstanceUID  # as nobody may write it, and some do
    unnamed.save_as(files[3], enforce_file_format=False)
    found = source.read(make.folder)
    headers = [dcmread(file, stop_before_pixels=True) for file in files]
    assert found.objects == [(one.SOPClassUID, one.SOPInstanceUID) for one in headers]
