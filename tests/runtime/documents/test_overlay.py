"""The brain mask and the maps lie on the scan to the voxel, as others read them."""

from __future__ import annotations

import io

import highdicom
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import EnhancedMRImageStorage, ExplicitVRLittleEndian

from runtime.documents import parametric_map, segmentation, slices, source, sr

CASES = {
    "axial": ("slices", {"plane": "axial"}),
    "sagittal": ("slices", {"plane": "sagittal"}),
    "coronal": ("slices", {"plane": "coronal"}),
    "feet first": ("slices", {"plane": "feet first"}),
    "oblique": ("slices", {"plane": "sagittal", "turn": 23.0}),
    "enhanced": ("enhanced", {"plane": "axial"}),
    "enhanced, oblique, frames in no order": (
        "enhanced", {"plane": "coronal", "turn": 11.0, "mixed": True},
    ),
}  # fmt: skip


def again(document):
    """A document as it is read back."""
    stream = io.BytesIO()
    document.save_as(stream, enforce_file_format=True)
    stream.seek(0)
    return dcmread(stream)


@pytest.fixture(params=CASES, scope="module")
def case(request, kit, tmp_path_factory):
    """A series: its voxels, where each lies (LPS mm), its result and where its brain is."""
    how, words = CASES[request.param]
    make = kit.maker(tmp_path_factory.mktemp("series"))
    stored = getattr(make, how)(**words)
    directions = kit.axes(words["plane"], words.get("turn", 0.0))
    index = np.stack(np.indices(stored.shape), -1)
    points = np.array(make.origin) + (index * make.spacing) @ directions.T
    result = kit.result(make.folder)
    first = source.read(make.folder).first
    place = slices.BrainSlices.of(result.stack, first, result.prepared)
    return make, stored, points, result, place


def frames(document):
    """Each frame's pixel centres, LPS mm (rows, columns, 3), by hand."""
    shared = document.SharedFunctionalGroupsSequence[0]
    across, down = np.reshape(
        shared.PlaneOrientationSequence[0].ImageOrientationPatient, (2, 3)
    ).astype(float)
    between_rows, between_columns = map(float, shared.PixelMeasuresSequence[0].PixelSpacing)
    row, column = np.indices((document.Rows, document.Columns))[..., None]
    for own in document.PerFrameFunctionalGroupsSequence:
        start = np.array(own.PlanePositionSequence[0].ImagePositionPatient, float)
        yield start + column * between_columns * across + row * between_rows * down


def rounded(points):
    return {tuple(point) for point in np.rint(points * 100 + 0.13).astype(int)}  # no tie at .005


def test_the_mask_s_voxels_are_the_brain_s(case, kit):
    _, stored, points, result, place = case
    made = again(segmentation.segmentation(result, place, "a"))
    found = np.concatenate(
        [at[plane > 0] for at, plane in zip(frames(made), made.pixel_array, strict=True)]
    )
    bright = points[stored > kit.bright]
    # What the preprocessing cut off is at three sides of the box that it kept.
    assert rounded(found) < rounded(bright)
    assert len(rounded(found)) == result.prepared.brain.sum()
    assert len(found) == len(rounded(found))
    assert made.Rows, made.Columns == stored.shape[1::-1]


def test_each_frame_names_the_image_that_it_lies_on(case):
    make, _, _, result, place = case
    there = {}
    for file in make.folder.iterdir():
        image = dcmread(file, stop_before_pixels=True)
        groups = image.get("PerFrameFunctionalGroupsSequence")
        places = [g.PlanePositionSequence[0] for g in groups] if groups else [image]
        for number, one in enumerate(places, 1):
            key = (image.SOPInstanceUID, number if groups else None)
            there[key] = np.array(one.ImagePositionPatient, float)
    (map_,) = parametric_map.trusted(result)
    documents = (
        segmentation.segmentation(result, place, "a"),
        parametric_map.parametric_map(result, map_, 1, place, "a"),
    )
    for made in map(again, documents):
        assert made.FrameOfReferenceUID == image.FrameOfReferenceUID
        assert made.StudyInstanceUID == image.StudyInstanceUID
        for own in made.PerFrameFunctionalGroupsSequence:
            (item,) = own.DerivationImageSequence[0].SourceImageSequence
            key = (item.ReferencedSOPInstanceUID, item.get("ReferencedFrameNumber"))
            at = np.array(own.PlanePositionSequence[0].ImagePositionPatient, float)
            np.testing.assert_allclose(there[key], at, atol=1e-3)
            assert item.ReferencedSOPClassUID == image.SOPClassUID
        (series,) = made.ReferencedSeriesSequence
        assert series.SeriesInstanceUID == image.SeriesInstanceUID
        named = [i.ReferencedSOPInstanceUID for i in series.ReferencedInstanceSequence]
        assert len(set(named)) == len(named)
        assert set(named) <= {uid for uid, _ in there}


def test_the_map_is_what_another_library_resamples_it_to(case):
    sitk = pytest.importorskip("SimpleITK")
    _, _, _, result, place = case
    prediction, *others = parametric_map.trusted(result)
    assert not others  # sex did not beat its baseline
    made = again(parametric_map.parametric_map(result, prediction, 1, place, "a"))
    (mapping,) = made.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence
    values = made.pixel_array * mapping.RealWorldValueSlope + mapping.RealWorldValueIntercept
    shown = result.maps["age"]
    nifti = shown.image(result.prepared.transform)
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ nifti.affine
    sizes = np.linalg.norm(lps[:3, :3], axis=0)
    image = sitk.GetImageFromArray(shown.difference)
    image.SetSpacing(sizes.tolist())
    image.SetDirection((lps[:3, :3] / sizes).ravel().tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    seen, wanted, largest = [], [], float(np.abs(values).max())
    for at, plane in zip(frames(made), values, strict=True):
        for point, value in zip(at.reshape(-1, 3), plane.ravel(), strict=True):
            index = image.TransformPhysicalPointToContinuousIndex(point)
            if value and all(0 <= i <= n - 1 for i, n in zip(index, image.GetSize(), strict=True)):
                seen.append(value)
                wanted.append(image.EvaluateAtContinuousIndex(index, sitk.sitkLinear))
    assert len(seen) > 20
    np.testing.assert_allclose(seen, wanted, atol=largest / 30000)
    assert (
        float(made.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing[0]) < 4
    )
    assert made.pixel_array.shape[0] == len(place.frames)


def _read_by_others(folder):
    """A series as SimpleITK reads it; one of a single multi-frame object as highdicom does."""
    sitk = pytest.importorskip("SimpleITK")
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    files = sorted(folder.iterdir())
    if len(files) > 1:
        return sitk.ReadImage(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder)))
    volume = highdicom.imread(files[0]).get_volume()  # (slice, row, column) -> LPS
    image = sitk.GetImageFromArray(volume.array.astype(np.float32))
    sizes = np.linalg.norm(volume.affine[:3, :3], axis=0)
    image.SetSpacing(sizes[::-1].tolist())
    image.SetDirection((volume.affine[:3, :3] / sizes)[:, ::-1].ravel().tolist())
    image.SetOrigin(volume.affine[:3, 3].tolist())
    return image


def test_other_readers_see_mask_and_map_where_they_see_the_scan(case, kit, tmp_path):
    """Mask and map from their own files, each voxel looked up in the scan, all read by others."""
    make, stored, _, result, place = case
    head = _read_by_others(make.folder)
    assert head.GetNumberOfPixels() == stored.size
    segmentation.segmentation(result, place, "a").save_as(tmp_path / "seg.dcm")
    mask = highdicom.seg.segread(tmp_path / "seg.dcm").get_volume(combine_segments=True)
    bright = 0
    for at in np.argwhere(mask.array):
        point = (mask.affine @ [*at, 1.0])[:3]  # highdicom's own idea of where a voxel lies
        index = head.TransformPhysicalPointToContinuousIndex(point.tolist())
        assert np.abs(np.array(index) - np.rint(index)).max() < 0.01  # half a voxel may be
        bright += head[[round(i) for i in index]] > kit.bright
    assert bright == mask.array.sum() == result.prepared.brain.sum()
    (map_,) = parametric_map.trusted(result)
    parametric_map.parametric_map(result, map_, 1, place, "a").save_as(tmp_path / "map.dcm")
    values = highdicom.imread(tmp_path / "map.dcm").get_volume(apply_real_world_transform=True)
    for at in np.argwhere(values.array):  # it is about the brain alone, on the mask's slices
        point = (values.affine @ [*at, 1.0])[:3]
        index = mask.inverse_affine @ [*point, 1.0]
        assert abs(index[0] - round(index[0])) < 0.01
        near = np.clip(np.rint(index[:3]).astype(int), 0, np.array(mask.array.shape) - 1)
        assert mask.array[near[0], slice(max(0, near[1] - 4), near[1] + 5)].any()
    assert np.count_nonzero(values.array)


def test_the_report_s_measurements_refer_to_the_segmentation(make, kit):
    make.slices()
    result, headers = kit.result(make.folder), source.read(make.folder)
    place = slices.BrainSlices.of(result.stack, headers.first, result.prepared)
    brain = segmentation.segmentation(result, place, "a")
    read = highdicom.sr.ComprehensiveSR.from_dataset(
        again(sr.report(result, headers, "a", (), brain))
    )
    groups = read.content.get_volumetric_roi_measurement_groups()
    assert [group.tracking_identifier for group in groups] == ["age", "sex", "brain volume"]
    for group in groups:
        assert group.referenced_segment.referenced_sop_instance_uid == brain.SOPInstanceUID
    (volume,) = groups[2].get_measurements()
    assert (volume.value, volume.unit.value) == (1234.5, "mL")
    evidence = read.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence
    assert {item.SeriesInstanceUID for item in evidence} == {
        headers.first.SeriesInstanceUID, brain.SeriesInstanceUID,
    }  # fmt: skip


def test_the_same_answer_is_the_same_objects(make, kit):
    make.enhanced()
    result, first = kit.result(make.folder), source.read(make.folder).first
    place = slices.BrainSlices.of(result.stack, first, result.prepared)
    (map_,) = parametric_map.trusted(result)
    uids = [
        [
            segmentation.segmentation(result, place, "a").SOPInstanceUID,
            parametric_map.parametric_map(result, map_, 1, place, "a").SOPInstanceUID,
        ]
        for _ in range(2)
    ]
    assert uids[0] == uids[1]
    assert len(set(uids[0])) == 2
    assert first.SOPClassUID == EnhancedMRImageStorage
    assert place.frames[0].many
    assert again(segmentation.segmentation(result, place, "b")).file_meta.TransferSyntaxUID == (
        ExplicitVRLittleEndian
    )
