"""What goes back: on the source's grid, named for itself, as consoles can store and show it."""

from __future__ import annotations

import itertools
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from fmtool.task import AGE, SEX
from runtime.attribution import Attribution
from runtime.preprocess.pipeline import Prepared
from runtime.result import Prediction, Result
from runtime.scan import Scan
from runtime.service.mrd import meta, mini_header, parameters, report, returned, volume, wire
from runtime.service.mrd.rehearsal import dicom, scanner
from runtime.service.mrd.rehearsal.scanner import Arrangement
from runtime.service.mrd.wire import Tag

PLAIN = Arrangement()
ALL = dict.fromkeys(parameters.DEFAULTS, True)


@pytest.fixture(scope="module")
def result(small):
    """An answer about `small`: its brain is an off-centre box, and its age map a slope."""
    brain = np.zeros(small.array.shape, dtype=bool)
    brain[3:9, 4:15, 6:18] = True
    prepared = Prepared(
        small.array, brain, np.eye(4), small.array, brain, small.affine, {"brain_volume_ml": 1.0}
    )
    good = {"metric": "MAE", "value": 7.2, "unit": "years", "beats_baseline": True}
    values = np.linspace(-3.0, 3.3, 5 * 6 * 6, dtype=np.float32).reshape(5, 6, 6)
    grid = np.diag([12.0, 12.0, 12.0, 1.0])
    grid[:3, 3] = -30.0
    maps = {n: Attribution(values, float(values.mean()), None, grid) for n in ("age", "sex")}
    return Result(
        scan="the scan",
        predictions={"age": Prediction(AGE, 41.2, good, []), "sex": Prediction(SEX, 0.2, {}, [])},
        embedding=np.zeros(4, np.float32),
        quality=[],
        prepared=prepared,
        bundle={"name": "demo", "digest": "ab" * 32, "demonstration": True, "limits": ["Limits."]},
        engine="onnxruntime on cpu, float32",
        facts={},
        timings={"total": 0.1},
        warnings=["A check warned."],
        maps=maps,
    )


def back(small, result, how=PLAIN, switches=ALL):
    sent = scanner.stream(small, how)
    return sent, list(returned.messages(volume.read(sent), result, switches, "c" * 64))


def by_series(messages):
    found = {}
    for message in messages:
        if message.kind == Tag.IMAGE:
            one = wire.image(message)
            found.setdefault(int(one.head["image_series_index"]), []).append(one)
    return found


def told(one):
    attributes = meta.read(one.attributes)
    coded = attributes.get("IceMiniHead")
    return attributes, mini_header.values(mini_header.decoded(coded[0])) if coded else {}


def test_series_have_numbers_and_uids_of_their_own(small, result):
    sent, messages = back(small, result)
    came, series = by_series(sent), by_series(messages)
    assert list(series) == [2, 3, 4]
    old = {value for one in came[1] for part in told(one) for v in part.values() for value in v}
    seen = set()
    for number, images in series.items():
        uids = {told(one)[0]["SeriesInstanceUID"][0] for one in images}
        names = {told(one)[0]["SeriesNumberRangeNameUID"][0] for one in images}
        own = [told(one)[0]["SOPInstanceUID"][0] for one in images]
        assert (len(uids), len(names), len(set(own))) == (1, 1, len(own))
        assert not (uids | names | set(own)) & (old | seen)
        seen |= uids | names | set(own)
        places = [(number, int(i.head["slice"]), int(i.head["image_index"])) for i in images]
        assert len(set(places)) == len(places)
        assert [int(one.head["image_index"]) for one in images] == [*range(1, len(images) + 1)]
        assert {int(one.head["image_type"]) for one in images} == {1}
        assert len({one.data.shape for one in images}) == 1


def test_the_number_that_consoles_treat_otherwise_is_avoided(small, result):
    sent = scanner.stream(small, Arrangement(series=98))
    messages = returned.messages(volume.read(sent), result, ALL, "c")
    assert list(by_series(messages)) == [100, 101, 102]


def test_the_mini_header_says_what_the_attributes_say(small, result):
    shared = ("SeriesDescription", "SequenceDescription", "SeriesInstanceUID", "SOPInstanceUID",
              "SeriesNumberRangeNameUID", "ImageTypeValue4")  # fmt: skip
    _, messages = back(small, result)
    for images in list(by_series(messages).values())[1:]:
        for place, one in enumerate(images):
            attributes, mini = told(one)
            assert {n: mini[n] for n in shared} == {n: attributes[n] for n in shared}
            assert "ImageTypeValue3" not in {**attributes, **mini}
            assert mini["NumberInSeries"] == [str(place + 1)]
            for counter in ("SliceNo", "ChronSliceNo", "ProtocolSliceNumber", "AnatomicalSliceNo"):
                assert mini[counter] == [str(place)]
            assert attributes["Keep_image_geometry"] == ["1"]


def test_values_are_of_12_bits_and_windows_whole(small, result):
    _, messages = back(small, result)
    for images in by_series(messages).values():
        for one in images:
            attributes, _ = told(one)
            assert one.data.dtype == np.uint16
            assert int(one.data.max()) <= 4095
            for name in ("WindowCenter", "WindowWidth", "RescaleIntercept", "RescaleSlope"):
                for value in attributes.get(name, []):
                    assert value == str(int(value))
            assert int(attributes["WindowWidth"][0]) >= 2
            assert attributes["DataRole"] == ["Quantitative"]


def test_derived_images_say_that_they_are_none_of_the_scans(small, result):
    _, messages = back(small, result)
    tokens = [told(images[0])[0]["ImageType"] for images in by_series(messages).values()]
    assert tokens == [["FMTOOLREPORT"], ["FMTOOLMASK"], ["FMTOOLATTRIBUTION"]]


def test_values_survive_as_comments_and_texts(small, result):
    _, messages = back(small, result)
    texts = [wire.text_of(m).decode() for m in messages if m.kind == Tag.TEXT]
    assert any("age 41.2 years" in text for text in texts)
    assert any("A check warned." in text for text in texts)
    for images in by_series(messages).values():
        attributes, _ = told(images[0])
        assert "age 41.2 years" in attributes["ImageComment"][0]
        assert "not a medical device" in attributes["ImageComments"][0]


@pytest.mark.parametrize("name", ["report", "mask", "attribution"])
def test_each_is_switched_alone(small, result, name):
    none = dict.fromkeys(ALL, False)
    assert by_series(back(small, result, switches=none)[1]) == {}
    (images,) = by_series(back(small, result, switches={**none, name: True})[1]).values()
    assert name in told(images[0])[0]["SeriesDescription"][0]


def test_only_heads_better_than_their_baseline_are_mapped(small, result):
    _, messages = back(small, result)
    names = {told(i[0])[0]["SeriesDescription"][0] for i in by_series(messages).values()}
    assert [n for n in names if "sex" in n] == []


def test_an_attribution_is_the_map_in_a_unit_that_is_said(small, result):
    _, messages = back(small, result, Arrangement("axial", left_handed=False))
    images = by_series(messages)[4]
    attributes, _ = told(images[0])
    assert attributes["SeriesDescription"] == ["fmtool attribution of age, 1e-2 years"]
    intercept = int(attributes["RescaleIntercept"][0])
    values = (np.stack([i.data[0, 0] for i in images], -1).astype(float) + intercept) / 100.0
    there = values.transpose(1, 0, 2)[::-1, ::-1]  # columns run left, rows posterior
    brain = result.prepared.brain
    assert np.all(there[~brain] == 0.0)
    expected = result.maps["age"].sample(small.affine, small.array.shape)
    assert np.allclose(there[brain], expected[brain], atol=0.006)


def test_the_report_is_one_image_on_a_grid_of_its_own(small, result):
    _, messages = back(small, result)
    (one,) = by_series(messages)[2]
    attributes, mini = told(one)
    depth = one.data.shape[1]
    assert attributes["Keep_image_geometry"] == ["0"]
    assert (mini, int(one.head["slice"]), int(one.head["image_index"])) == ({}, 0, 1)
    for name in ("slice_count", "NumberOfSlices", "ImagesInAcquisition"):
        assert attributes[name] == [str(depth)]
    axes = [one.head[n].tolist() for n in ("read_dir", "phase_dir", "slice_dir")]
    assert axes == np.eye(3).tolist()
    upright = report.pages(result, "fmtool report")
    assert np.array_equal(one.data[0, :, ::-1, ::-1], upright)
    assert upright.shape[1:] == (768, 768)
    assert int(upright[0].max()) > 3000


def test_a_source_without_attributes_gets_none_that_are_made_up(small, result):
    _, messages = back(small, result, Arrangement(marked=False))
    attributes, mini = told(by_series(messages)[3][0])
    assert mini == {}
    assert "ImageRowDir" not in attributes


def converted(files, out):
    """The NIfTI files that an independent reader makes of DICOM files, by their series."""
    program = Path(sys.executable).parent / "dcm2niix"
    found = {}
    for folder in sorted({file.parent for file in files}):
        place = out / folder.name
        place.mkdir(parents=True)
        words = [program, "-b", "n", "-z", "n", "-m", "y", "-f", "x", "-o", place, folder]
        subprocess.run([*map(str, words)], check=True, capture_output=True)
        (image,) = place.glob("*.nii")
        found[folder.name] = nib.load(image)
    return found


ARRANGEMENTS = [
    *itertools.product(("axial", "sagittal", "coronal"), (False, True), (True,), (False,)),
    ("axial", False, False, False),
    ("sagittal", True, False, False),
    ("coronal", False, True, True),
    ("axial", True, True, True),
]


@pytest.mark.parametrize(
    ("plane", "packed", "left", "oblique"),
    [
        pytest.param(*how, marks=[] if how == ("coronal", False, True, True) else pytest.mark.slow)
        for how in ARRANGEMENTS
    ],
)
def test_overlays_lie_on_their_source_as_an_independent_reader_sees_it(
    small, result, tmp_path, plane, packed, left, oblique
):
    pytest.importorskip("pydicom", reason="the dicom extra is absent")
    if not (Path(sys.executable).parent / "dcm2niix").exists():
        pytest.skip("dcm2niix is not installed")
    scan, answer = (small, result) if not oblique else turned(small, result)
    sent, messages = back(scan, answer, Arrangement(plane, packed, left, shuffled=2))
    files = dicom.write([m for m in (*sent, *messages)], tmp_path / "dicom", "a study")
    images = converted([f for f in files if f.parent.name != "series-2"], tmp_path / "nifti")
    source, mask = images["series-1"], images["series-3"]
    assert np.allclose(mask.affine, source.affine, atol=1e-3)
    inside = np.argwhere(np.asarray(mask.dataobj) > 0)
    world = nib.affines.apply_affine(mask.affine, inside)
    there = nib.affines.apply_affine(np.linalg.inv(scan.affine), world)
    assert np.abs(there - np.rint(there)).max() < 0.02  # of a voxel
    brain = answer.prepared.brain
    assert len(inside) == int(brain.sum())
    assert brain[tuple(np.rint(there).astype(int).T)].all()
    voxels = np.asarray(source.dataobj)
    assert np.allclose(
        voxels[tuple(inside.T)], scan.array[tuple(np.rint(there).astype(int).T)], atol=1e-3
    )


def turned(small, result):
    """The same head lying obliquely."""
    a, b = np.radians([13.0, -9.0])
    about_x = [[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]]
    about_z = [[np.cos(b), -np.sin(b), 0], [np.sin(b), np.cos(b), 0], [0, 0, 1]]
    affine = small.affine.copy()
    affine[:3] = np.array(about_x) @ about_z @ affine[:3]
    prepared = replace(result.prepared, affine=affine)
    return Scan(small.array, affine), replace(result, prepared=prepared)


def test_files_of_streams_come_back_by_the_library(small, tmp_path):
    pytest.importorskip("ismrmrd", reason="the mrd extra is absent")
    from runtime.service.mrd.rehearsal import files

    sent = scanner.stream(small)
    files.write(tmp_path / "sent.h5", sent, scanner.header())
    again = files.read(tmp_path / "sent.h5")
    assert [m.kind for m in again] == [m.kind for m in sent]
    one, two = (wire.image([m for m in s if m.kind == Tag.IMAGE][5]) for s in (sent, again))
    assert np.array_equal(one.data, two.data)
    assert meta.read(one.attributes) == meta.read(two.attributes)


def test_the_xml_header_is_one_that_the_library_takes():
    ismrmrd = pytest.importorskip("ismrmrd", reason="the mrd extra is absent")
    found = ismrmrd.xsd.CreateFromDocument(scanner.header().encode())
    assert found.measurementInformation.protocolName == "rehearsal_t1_mprage"
