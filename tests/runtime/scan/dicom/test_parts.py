"""What belongs to a volume: kinds are never mixed, scouts are left out, halves are refused."""

from __future__ import annotations

import random

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian, generate_uid

from fmtool.errors import InputError
from runtime import scan

UID = {"SeriesInstanceUID": "1.2.3"}
M, P = ["ORIGINAL", "PRIMARY", "M", "ND"], ["ORIGINAL", "PRIMARY", "P", "ND"]


def complaint(make, **asked):
    with pytest.raises(InputError) as caught:
        scan.read(make.folder, **asked)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def shuffled(make, seed):
    """The folder's files under other names, so that another one comes first."""
    files = sorted(make.folder.iterdir())
    random.Random(seed).shuffle(files)
    for n, path in enumerate(files):
        path.rename(make.folder / f"x{n:04d}.dcm")


def part_of_ge(data, part):
    block = data.private_block(0x0043, "GEMS_PARM_01", create=True)
    block.add_new(0x2F, "SS", part)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"ImageType": M}, {"ImageType": P}),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "M_FFE", "M", "FFE"]},
         {"ImageType": ["ORIGINAL", "PRIMARY", "PHASE MAP", "P", "FFE"]}),
        ({"ImageType": M}, {"ImageType": ["ORIGINAL", "PRIMARY", "R_FFE", "R", "FFE"]}),
        ({"InversionTime": 900}, {"InversionTime": 2500}),
        ({"EchoTime": 1.7}, {"EchoTime": 3.6}),
        ({"edit": lambda d, k: part_of_ge(d, 0)}, {"edit": lambda d, k: part_of_ge(d, 1)}),
        ({"edit": lambda d, k: part_of_ge(d, 0), "syntax": ImplicitVRLittleEndian},
         {"edit": lambda d, k: part_of_ge(d, 3), "syntax": ImplicitVRLittleEndian}),
        ({"edit": lambda d, k: part_of_ge(d, 0)},
         {"edit": lambda d, k: part_of_ge(d, 2), "syntax": DeflatedExplicitVRLittleEndian}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("seed", [1, 2])
def test_of_two_kinds_in_one_series_the_right_one_with_a_remark(make, first, second, seed):
    stored = make.slices(name="a", **UID, **first)
    other = make.slices(stored[::-1] + 7, name="b", **UID, **second)
    shuffled(make, seed)
    got = scan.read(make.folder)
    np.testing.assert_array_equal(got.array, stored[::-1, ::-1])
    assert any("of its 2 volumes that of" in w and "--series" in w for w in got.facts["warnings"])
    (rest,) = got.facts["other_series"]
    again = scan.read(make.folder, series=rest["id"])
    np.testing.assert_array_equal(again.array, other[::-1, ::-1])
    for word in ("3", "1.2.3", got.facts["series"]["id"]):  # the series is that volume
        assert scan.read(make.folder, series=word).facts["series"] == {
            **got.facts["series"], "chosen": "it was asked for"
        }  # fmt: skip


@pytest.mark.parametrize("lost", [(3, 7, 8, 11, 14), (15, 16, 17), (0, 1), range(0, 18, 2)])
@pytest.mark.parametrize(
    ("keyword", "kinds"),
    [("ImageType", (M, P)), ("InversionTime", (900, 2500)), ("EchoTime", (2.98, 5))],
)
def test_slices_of_another_kind_among_a_volume_are_never_read_as_its(make, lost, keyword, kinds):
    make.slices(edit=lambda d, k: setattr(d, keyword, kinds[k in lost]))
    assert "holds 2 " in complaint(make)
    assert "holds 2 " in complaint(make, series="3")


def test_a_volume_that_lacks_slices_of_another_is_not_whole(make):
    make.slices(name="a", keep=lambda k: k < 16, ImageType=M, **UID)
    make.slices(name="b", ImageType=P, **UID)
    assert "magnitude): slices of its are of another kind" in complaint(make)
    assert "phase map" in complaint(make)


def test_magnitude_and_phase_frames_of_one_enhanced_object(make):
    def parts(data):
        groups = data.PerFrameFunctionalGroupsSequence
        for n, group in enumerate(groups):
            kind = Dataset()
            kind.FrameType = ["ORIGINAL", "PRIMARY", "T1", "NONE"]
            kind.ComplexImageComponent = "PHASE" if n < 18 else "MAGNITUDE"
            group.MRImageFrameTypeSequence = Sequence([kind])
            group.PlanePositionSequence = groups[n % 18].PlanePositionSequence

    stored = np.random.default_rng(3).integers(0, 900, (20, 24, 36)).astype(np.int16)
    make.enhanced(stored, edit=parts)
    got = scan.read(make.folder)
    np.testing.assert_array_equal(got.array, stored[::-1, ::-1, 18:])
    assert "magnitude" in got.facts["warnings"][-1]


def test_echoes_of_an_enhanced_object_the_first_of_them(make):
    def echoes(data):
        groups = data.PerFrameFunctionalGroupsSequence
        for n, group in enumerate(groups):
            group.MREchoSequence[0].EffectiveEchoTime = 3.55 if n < 18 else 1.69
            group.PlanePositionSequence = groups[n % 18].PlanePositionSequence

    stored = np.random.default_rng(3).integers(0, 900, (20, 24, 36)).astype(np.int16)
    make.enhanced(stored, edit=echoes)
    got = scan.read(make.folder)
    np.testing.assert_array_equal(got.array, stored[::-1, ::-1, 18:])


@pytest.mark.parametrize("other", ["2.980", "2.9805", "", None])
def test_times_that_are_equal_to_a_thousandth_or_untold_are_equal(make, other):
    stored = make.slices(edit=lambda d, k: setattr(d, "EchoTime", other if k % 3 else "2.98"))
    got = scan.read(make.folder)
    np.testing.assert_array_equal(got.array, stored[::-1, ::-1])
    assert not got.facts["warnings"]


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("matrix", [(20, 24), (32, 32)])
@pytest.mark.parametrize("kind", [{}, {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}])
def test_scouts_under_the_volumes_uid_are_left_out_with_a_remark(make, seed, matrix, kind):
    stored = make.slices(**UID)
    for plane in ("sagittal", "coronal"):
        make.slices(np.ones((*matrix, 3), np.int16), name=plane, plane=plane,
                    SeriesDescription="AAHead_Scout", **UID, **kind)  # fmt: skip
    shuffled(make, seed)
    got = scan.read(make.folder)
    np.testing.assert_array_equal(got.array, stored[::-1, ::-1])
    assert got.facts["warnings"] == [
        "Series 3: 6 slices that are none of its volume's, as of a scout, were left out."
    ]


def test_a_parallel_scout_of_another_field_of_view_is_left_out(make):
    stored = make.slices(**UID)
    make.origin = (-60.0, -10.0, 3.0)
    make.slices(stored[..., :3], name="scout", **UID)
    got = scan.read(make.folder)
    np.testing.assert_array_equal(got.array, stored[::-1, ::-1])
    assert "3 slices that are none of its volume's" in got.facts["warnings"][0]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_objects_that_are_no_mr_images_say_nothing_of_a_series(make, seed):
    stored = make.slices(**UID)
    no_pixels = {"edit": lambda d, k: [delattr(d, n) for n in ("Rows", "Columns", "PixelData")]}
    make.slices(stored[..., :1], name="sr", Modality="SR", PatientID="OTHER",
                SOPClassUID="1.2.840.10008.5.1.4.1.1.88.33", **no_pixels, **UID)  # fmt: skip
    make.slices(stored[..., :2], name="sc", Modality="OT", SeriesDescription="T2",
                SOPClassUID="1.2.840.10008.5.1.4.1.1.7", ImageType=P, **UID)  # fmt: skip
    shuffled(make, seed)
    got = scan.read(make.folder)
    np.testing.assert_array_equal(got.array, stored[::-1, ::-1])
    assert got.facts["warnings"] == [
        "Series 3: 2 of its objects that are no MR images were left out."
    ]


@pytest.mark.parametrize("first", [lambda k: k < 20, lambda k: k % 2 == 0, lambda k: k < 33])
@pytest.mark.parametrize("seed", [1, 2])
def test_one_acquisition_over_two_series_is_refused_with_both(make, first, seed):
    uids = [generate_uid(), generate_uid()]

    def edit(data, k):
        data.SeriesInstanceUID, data.SeriesNumber = (uids[0], 3) if first(k) else (uids[1], 4)

    make.slices(np.ones((20, 24, 36), np.int16), edit=edit)
    shuffled(make, seed)
    said = complaint(make)
    assert "part of an acquisition whose rest is series 4" in said
    assert "part of an acquisition whose rest is series 3" in said


def test_series_that_share_their_objects_numbers_are_series_of_their_own(make):
    stored = make.slices(edit=lambda d, k: setattr(d, "SOPInstanceUID", f"1.2.{k + 1}"))
    make.slices(stored[::-1], name="b", SeriesNumber=2, SeriesDescription="T2",
                edit=lambda d, k: setattr(d, "SOPInstanceUID", f"1.2.{k + 1}"))  # fmt: skip
    got = scan.read(make.folder)
    np.testing.assert_array_equal(got.array, stored[::-1, ::-1])
    assert got.facts["files"]["left_out"] == {}


def test_two_whole_heads_of_one_protocol_are_no_halves(make):
    make.slices(name="a")
    make.slices(name="b", SeriesNumber=4)
    assert scan.read(make.folder).facts["series"]["number"] == 3


def concatenated(make, kept, total):
    """An object of 54 slices in three files of which `kept` are there."""
    stored = np.random.default_rng(3).integers(0, 900, (20, 24, 54)).astype(np.int16)
    origin = make.origin
    for n in kept:

        def number(data, n=n):
            data.ConcatenationUID, data.InConcatenationNumber = "1.2.9", n
            data.ConcatenationFrameOffsetNumber = 18 * (n - 1)
            if total:
                data.InConcatenationTotalNumber = total

        make.origin = (*origin[:2], origin[2] + (n - 1) * 18 * make.spacing[2])
        make.enhanced(stored[..., 18 * (n - 1) : 18 * n], edit=number, name=f"c{n}", **UID)
    make.origin = origin
    return stored


@pytest.mark.parametrize("total", [3, None])
def test_a_concatenation_is_one_volume(make, total):
    stored = concatenated(make, (3, 1, 2), total)
    np.testing.assert_array_equal(scan.read(make.folder).array, stored[::-1, ::-1])


@pytest.mark.parametrize(("kept", "total"), [((1, 2), 3), ((2, 3), 3), ((2, 3), None), ((1,), 2)])
def test_a_concatenation_that_lacks_a_file_is_refused(make, kept, total):
    concatenated(make, kept, total)
    of = f"{len(kept)} of the {total or 3} files of its concatenation are there"
    assert of in complaint(make)
    assert of in complaint(make, series="3")


def test_images_of_two_patients_under_one_uid_are_refused(make):
    make.slices(edit=lambda d, k: setattr(d, "PatientID", "A" if k < 9 else "B"))
    assert "of 2 patients" in complaint(make, series="3")
