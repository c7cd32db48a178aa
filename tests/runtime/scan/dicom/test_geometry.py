"""What slices must be to make one volume: each refusal is one sentence with its numbers."""

from __future__ import annotations

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from fmtool.errors import InputError
from runtime import scan


def complaint(make, **asked):
    with pytest.raises(InputError) as caught:
        scan.read(make.folder, **asked)
    said = str(caught.value)
    assert "\n" not in said
    assert said.startswith(str(make.folder))
    return said


def moved(k, by):
    """Slice `k` moved by this vector, mm."""

    def edit(data, number):
        if number == k:
            data.ImagePositionPatient = [
                float(v) + d for v, d in zip(data.ImagePositionPatient, by, strict=True)
            ]

    return edit


def test_a_missing_slice(make):
    make.slices(keep=lambda k: k not in (7, 12))
    said = complaint(make)
    assert "lacks 2 slices: the first gap is of 2.60 mm behind -32.33 mm" in said
    assert "1.30 mm apart" in said


def test_unequal_distances(make):
    make.slices(edit=moved(9, (0, 0, 0.4)))
    assert "unequal distances (0.90 to 1.70 mm; one lies 0.40 mm off" in complaint(make)


def test_a_slice_beside_the_line(make):
    make.slices(edit=moved(9, (3.0, 0, 0)))
    assert "one lies 3.00 mm off its place" in complaint(make)


def test_positions_as_a_scanner_rounds_them_are_read(make):
    def rounded(data, k):
        data.ImagePositionPatient = [f"{float(v):.2f}" for v in data.ImagePositionPatient]

    make.slices(edit=rounded, turn=17.3)
    got = scan.read(make.folder)
    assert got.facts["spacing"][2] == pytest.approx(1.3, abs=1e-3)


def test_two_slices_at_one_place(make):
    make.slices(edit=moved(9, (0, 0, 1.3)))
    assert "has 1 slice at the place of another (one at -27.12 mm" in complaint(make)


def test_copies_of_the_same_slice_are_left_out_and_told_of(make):
    stored = make.slices()
    for path in sorted(make.folder.iterdir())[:3]:
        (make.folder / f"copy of {path.name}").write_bytes(path.read_bytes())
    got = scan.read(make.folder)
    np.testing.assert_array_equal(got.array, stored[::-1, ::-1])
    assert got.facts["files"]["left_out"] == {"copies": 3}
    assert "3 copies" in got.facts["warnings"][0]


def test_a_tilted_gantry(make):
    def tilted(data, k):
        x, y, z = (float(v) for v in data.ImagePositionPatient)
        data.ImagePositionPatient = [x, y + 1.3 * k * np.tan(np.radians(12)), z]

    make.slices(edit=tilted)
    assert "tilted gantry: its slices lie 12.0 degrees off" in complaint(make)


def test_mixed_orientations(make):
    def turned(data, k):
        if k >= 12:
            data.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]

    make.slices(edit=turned)
    assert "mixes slices of 2 orientations (6 of 18" in complaint(make)


def test_mixed_pixel_spacings(make):
    def wider(data, k):
        if k == 3:
            data.PixelSpacing = [0.9, 1.2]

    make.slices(edit=wider)
    assert "mixes pixel spacings from 0.9 to 1.2 mm" in complaint(make)


def test_mixed_matrices(make):
    make.slices()
    header = {"SeriesInstanceUID": "1.2.3"}
    make.slices(np.zeros((20, 24, 18), np.int16), keep=lambda k: k < 9, **header)
    make.slices(np.zeros((22, 24, 18), np.int16), keep=lambda k: k >= 9, name="t", **header)
    assert "mixes slices of 2 matrices (20 x 24, 22 x 24)" in complaint(make, series="1.2.3")


@pytest.mark.parametrize(
    ("keyword", "value", "said"),
    [
        ("ImagePositionPatient", None, "18 slices of 18 without a valid position"),
        ("ImageOrientationPatient", [1, 0, 0], "without a valid orientation"),
        ("PixelSpacing", None, "without a valid pixel spacing"),
        ("PixelSpacing", [0, 1], "a pixel spacing of 0 mm"),
        ("ImageOrientationPatient", [1, 0, 0, 0.7, 0.7, 0], "no right angle of unit length"),
        ("ImageOrientationPatient", [0, 0, 0, 0, 0, 0], "no right angle of unit length"),
        ("PixelSpacing", [40, 40], "voxels of 40"),
    ],
)
def test_a_place_that_is_none(make, keyword, value, said):
    make.slices(edit=lambda data, k: setattr(data, keyword, value))
    assert said in complaint(make, series="3")


@pytest.mark.parametrize(
    ("keyword", "values", "said"),
    [
        ("TemporalPositionIdentifier", (1, 2), "2 temporal positions (1, 2)"),
        ("DiffusionBValue", (0, 1000), "2 b-values (0, 1000)"),
        ("AcquisitionNumber", (1, 2), "2 acquisitions (1, 2)"),
    ],
)
def test_several_volumes_in_one_series_are_listed(make, keyword, values, said):
    for n, value in enumerate(values):
        make.slices(name=f"v{n}", SeriesInstanceUID="1.2.3", **{keyword: value})
    assert said in complaint(make)  # left alone in the choice, with the reason
    assert f"series 3 holds {said}" in complaint(make, series="3")


@pytest.mark.parametrize("each", [1, 9])
def test_stack_ids_of_one_parallel_stack_are_one_volume(make, each):
    def stacks(data):
        for n, group in enumerate(data.PerFrameFunctionalGroupsSequence):
            group.FrameContentSequence[0].StackID = str(1 + n // each)

    stored = make.enhanced(edit=stacks)
    got = scan.read(make.folder)
    np.testing.assert_array_equal(got.array, stored[::-1, ::-1])
    assert not got.facts["warnings"]


def test_stacks_that_repeat_places_are_several_volumes(make):
    def stacks(data):
        groups = data.PerFrameFunctionalGroupsSequence
        for n, group in enumerate(groups):
            group.FrameContentSequence[0].StackID = "1" if n < 9 else "2"
            group.PlanePositionSequence = groups[n % 9].PlanePositionSequence

    make.enhanced(edit=stacks)
    assert "holds 2 stacks (1, 2)" in complaint(make, series="3")


def test_several_echoes_of_an_enhanced_object(make):
    def echoes(data):
        for n, group in enumerate(data.PerFrameFunctionalGroupsSequence):
            group.MREchoSequence[0].EffectiveEchoTime = 2.5 + n % 2

    make.enhanced(edit=echoes)
    assert "2 echo times (2.5, 3.5 ms)" in complaint(make, series="3")


def test_an_enhanced_object_whose_groups_are_not_its_frames(make):
    make.enhanced(edit=lambda data: data.PerFrameFunctionalGroupsSequence.pop())
    assert "1 damaged" in complaint(make)


def test_frames_without_places_of_their_own(make):
    make.slices(
        np.zeros((20, 24, 1), np.int16),
        edit=lambda data, k: setattr(data, "NumberOfFrames", 30),
    )
    assert "packs several slices into an image" in complaint(make)


def test_a_mosaic(make):
    make.slices(ImageType=["ORIGINAL", "PRIMARY", "M", "MOSAIC"])
    assert "it is a mosaic" in complaint(make)
    assert "it is a mosaic" in complaint(make, series="3")


def test_too_few_slices(make):
    make.slices(keep=lambda k: k < 5)
    assert "fewer than 16 slices" in complaint(make)
    assert "a slice or a slab" in complaint(make, series="3")


def test_shared_rules_and_frames_rules_of_an_enhanced_object(make):
    """The frame's own functional group rules over the shared one."""

    def measured(data):
        shared = data.SharedFunctionalGroupsSequence[0]
        shared.PixelMeasuresSequence[0].PixelSpacing = [5, 5]
        for group in data.PerFrameFunctionalGroupsSequence:
            own = Dataset()
            own.PixelSpacing = [0.9, 1.1]
            group.PixelMeasuresSequence = Sequence([own])

    make.enhanced(edit=measured)
    assert scan.read(make.folder).facts["spacing"] == [1.1, 0.9, 1.3]
