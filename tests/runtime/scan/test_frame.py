"""Which frame rules, in which unit, and what is said about it."""

from __future__ import annotations

import re
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray

from fmtool.errors import InputError
from runtime.scan import frame
from runtime.scan.header import Header

PATH = Path("scan.nii")


def rotated(degrees: float, size: float = 1.0) -> NDArray[np.float64]:
    a = np.radians(degrees)
    affine = np.eye(4)
    affine[:2, :2] = [[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]]
    affine[:3] *= size
    return affine


def header(
    frames: dict[str, NDArray[np.float64]],
    units: str = "mm",
    pixdim: tuple[float, float, float] = (1.0, 1.0, 1.0),
) -> Header:
    return Header((200, 200, 200), np.dtype("i2"), 352, 1.0, 0.0, pixdim, units, frames)


def test_the_sform_rules_and_a_differing_qform_is_said() -> None:
    frames = {"sform": rotated(0), "qform": rotated(1.0)}
    place = frame.locate(PATH, header(frames), False)
    np.testing.assert_array_equal(place.affine, frames["sform"])
    assert place.source == "sform"
    (warning,) = place.warnings
    assert "differ by up to 4.9 mm; the sform is used" in warning  # 281 mm from the origin


def test_frames_that_agree_are_not_mentioned() -> None:
    frames = {"sform": rotated(0), "qform": rotated(0.1)}
    assert frame.locate(PATH, header(frames), False).warnings == []


def test_frames_of_two_orientations_are_named() -> None:
    mirrored = np.diag([-1.0, 1, 1, 1])
    place = frame.locate(PATH, header({"sform": np.eye(4), "qform": mirrored}), False)
    assert "RAS and LAS" in place.warnings[0]


def sheared(degrees: float) -> NDArray[np.float64]:
    affine = np.eye(4)
    affine[0, 1] = np.tan(np.radians(degrees))
    return affine


SCALED = {
    "(to 1.08 x 1.06 x 1.1 mm from 1 x 1 x 1 mm)": np.diag([1.08, 1.06, 1.1, 1]),
    "(to 1.01 x 1.01 x 1.01 mm": np.diag([1.01, 1.01, 1.01, 1]),
    "0.9 degrees off the right angle": sheared(0.9),
}
IMPOSSIBLE = {
    "gives voxels of 0.001 x": np.diag([0.001, 0.001, 0.001, 1]),
    "is sheared (axes 4.0 degrees off": sheared(4.0),
    "is singular (an axis of length 0)": np.diag([1.0, 1, 0, 1]),
    "is singular (its axes are not independent)": np.ones((4, 4)),
    "is no orientation": np.full((4, 4), np.nan),
    "holds impossible lengths": np.diag([1.0, 1, 1e30, 1]),
}


@pytest.mark.parametrize("words", [*SCALED, *IMPOSSIBLE])
def test_an_sform_that_is_not_rigid_gives_way_to_the_qform_aloud(words: str) -> None:
    sform = (SCALED | IMPOSSIBLE)[words]
    place = frame.locate(PATH, header({"sform": sform, "qform": rotated(30)}), False)
    assert place.source == "qform"
    np.testing.assert_array_equal(place.affine, rotated(30))
    (warning,) = place.warnings
    assert warning.startswith("The sform ")
    assert words in warning
    assert warning.endswith("; the qform is used.")


@pytest.mark.parametrize("words", [*SCALED, *IMPOSSIBLE])
def test_without_a_qform_the_sform_must_be_that_of_a_head(words: str) -> None:
    if words in SCALED:
        assert frame.locate(PATH, header({"sform": SCALED[words]}), False).source == "sform"
    else:
        with pytest.raises(InputError, match=f"cannot be placed: its sform {re.escape(words)}"):
            frame.locate(PATH, header({"sform": IMPOSSIBLE[words]}), False)


@pytest.mark.parametrize("sform", [sheared(0.1), np.diag([1.002, 1.002, 1.002, 1.0]), rotated(50)])
def test_an_sform_that_is_rigid_rules(sform: NDArray[np.float64]) -> None:
    place = frame.locate(PATH, header({"sform": sform, "qform": rotated(50)}), False)
    assert place.source == "sform"


def test_a_mirror_between_an_atlas_sform_and_the_qform_is_said() -> None:
    frames = {"sform": np.diag([1.1, 1.1, 1.1, 1.0]), "qform": np.diag([-1.0, 1, 1, 1])}
    place = frame.locate(PATH, header(frames), False)
    assert place.source == "qform"
    assert "LAS and RAS" in place.warnings[1]


@pytest.mark.parametrize("size", [0.0, -1.0, np.nan, np.inf])
def test_a_voxel_size_that_cannot_be_does_not_spoil_a_good_sform(size: float) -> None:
    odd = header({"sform": np.eye(4), "qform": rotated(20)}, pixdim=(size, 1.0, 1.0))
    place = frame.locate(PATH, odd, False)
    np.testing.assert_array_equal(place.affine, np.eye(4))
    assert [w for w in place.warnings if "voxel sizes" in w and "the sform is used" in w]
    for frames in ({"qform": np.eye(4)}, {}):
        with pytest.raises(InputError, match="voxel sizes"):
            frame.locate(PATH, header(frames, pixdim=(size, 1.0, 1.0)), True)


def test_a_refusal_repeats_what_was_said_of_the_header() -> None:
    with pytest.raises(InputError, match=r"1000 x 1000 x 1000 mm.*lengths in metres"):
        frame.locate(PATH, header({"sform": np.eye(4)}, "m"), False)


@pytest.mark.parametrize(("units", "size"), [("m", 0.001), ("um", 1000.0)])
def test_other_units_are_converted_aloud(units: str, size: float) -> None:
    pixdim = (size, size, size)
    place = frame.locate(PATH, header({"sform": rotated(0, size)}, units, pixdim), False)
    np.testing.assert_allclose(place.affine, np.eye(4), atol=1e-12)
    (warning,) = place.warnings
    assert "converted to mm" in warning


def test_no_orientation_is_refused_or_assumed_aloud() -> None:
    bare = header({}, pixdim=(1.0, 1.5, 2.0))
    with pytest.raises(InputError, match="left and right are unknown"):
        frame.locate(PATH, bare, False)
    place = frame.locate(PATH, bare, True)
    assert place.source == "assumed"
    assert place.orientation == "RAS"
    centre = place.affine @ [99.5, 99.5, 99.5, 1.0]
    np.testing.assert_allclose(centre[:3], 0.0)
    assert "1 x 1.5 x 2 mm" in place.warnings[0]


def test_assuming_does_not_override_what_the_file_says() -> None:
    place = frame.locate(PATH, header({"qform": np.diag([-1.0, 1, 1, 1])}), True)
    assert place.orientation == "LAS"


def test_thick_slices_and_differing_sizes_are_said() -> None:
    place = frame.locate(PATH, header({"sform": np.diag([1.0, 1, 5, 1])}), False)
    assert any("thick slices" in w and "1 x 1 x 5 mm" in w for w in place.warnings)
    assert any("voxel sizes (1 x 1 x 1 mm) differ" in w for w in place.warnings)


@pytest.mark.parametrize("codes", ["RAS", "LPI", "PSR", "ASL", "SAR", "IRP"])
def test_canonical_order_is_nibabels(codes: str) -> None:
    shape = (3, 4, 5)
    ornt = nib.orientations.axcodes2ornt(tuple(codes))
    affine = nib.orientations.inv_ornt_aff(ornt, shape)
    data = np.arange(60).reshape(shape)
    order, flips, moved = frame.to_canonical(affine, shape)
    got = data.transpose(order)[tuple(slice(None, None, -1 if f else 1) for f in flips)]
    image = nib.as_closest_canonical(nib.Nifti1Image(data.astype(np.int16), affine))
    np.testing.assert_array_equal(got, np.asarray(image.dataobj))
    np.testing.assert_allclose(moved, image.affine)
