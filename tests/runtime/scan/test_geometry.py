"""Which frame rules, in which unit, and what is said about it."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray

from fmtool.errors import InputError
from runtime.scan import geometry
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
    damaged: tuple[str, ...] = (),
) -> Header:
    return Header((200, 200, 200), np.dtype("i2"), 352, 1.0, 0.0, pixdim, units, frames, damaged)


def test_the_sform_rules_and_a_differing_qform_is_said() -> None:
    frames = {"sform": rotated(0), "qform": rotated(1.0)}
    place = geometry.locate(PATH, header(frames), False)
    np.testing.assert_array_equal(place.affine, frames["sform"])
    assert place.source == "sform"
    (warning,) = place.warnings
    assert "differ by up to 4.9 mm; the sform is used" in warning  # 281 mm from the origin


def test_frames_that_agree_are_not_mentioned() -> None:
    frames = {"sform": rotated(0), "qform": rotated(0.1)}
    assert geometry.locate(PATH, header(frames), False).warnings == []


def test_frames_of_two_orientations_are_named() -> None:
    mirrored = np.diag([-1.0, 1, 1, 1])
    place = geometry.locate(PATH, header({"sform": np.eye(4), "qform": mirrored}), False)
    assert "RAS and LAS" in place.warnings[0]


def test_a_damaged_sform_gives_way_to_the_qform_aloud() -> None:
    place = geometry.locate(PATH, header({"qform": np.eye(4)}, damaged=("sform",)), False)
    assert place.source == "qform"
    assert "sform is damaged" in place.warnings[0]


@pytest.mark.parametrize(("units", "size"), [("m", 0.001), ("um", 1000.0)])
def test_other_units_are_converted_aloud(units: str, size: float) -> None:
    pixdim = (size, size, size)
    place = geometry.locate(PATH, header({"sform": rotated(0, size)}, units, pixdim), False)
    np.testing.assert_allclose(place.affine, np.eye(4), atol=1e-12)
    (warning,) = place.warnings
    assert "converted to mm" in warning


def test_metres_that_cannot_be_are_refused() -> None:
    with pytest.raises(InputError, match="1000 x 1000 x 1000 mm"):
        geometry.locate(PATH, header({"sform": rotated(0)}, "m"), False)


def test_no_orientation_is_refused_or_assumed_aloud() -> None:
    bare = header({}, pixdim=(1.0, 1.5, 2.0))
    with pytest.raises(InputError, match="left and right are unknown"):
        geometry.locate(PATH, bare, False)
    place = geometry.locate(PATH, bare, True)
    assert place.source == "assumed"
    assert place.orientation == "RAS"
    centre = place.affine @ [99.5, 99.5, 99.5, 1.0]
    np.testing.assert_allclose(centre[:3], 0.0)
    assert "1 x 1.5 x 2 mm" in place.warnings[0]


def test_assuming_does_not_override_what_the_file_says() -> None:
    place = geometry.locate(PATH, header({"qform": np.diag([-1.0, 1, 1, 1])}), True)
    assert place.orientation == "LAS"


def test_thick_slices_and_differing_sizes_are_said() -> None:
    place = geometry.locate(PATH, header({"sform": np.diag([1.0, 1, 5, 1])}), False)
    assert any("thick slices" in w and "1 x 1 x 5 mm" in w for w in place.warnings)
    assert any("voxel sizes (1 x 1 x 1 mm) differ" in w for w in place.warnings)


@pytest.mark.parametrize("codes", ["RAS", "LPI", "PSR", "ASL", "SAR", "IRP"])
def test_canonical_order_is_nibabels(codes: str) -> None:
    shape = (3, 4, 5)
    ornt = nib.orientations.axcodes2ornt(tuple(codes))
    affine = nib.orientations.inv_ornt_aff(ornt, shape)
    data = np.arange(60).reshape(shape)
    order, flips, moved = geometry.to_canonical(affine, shape)
    got = data.transpose(order)[tuple(slice(None, None, -1 if f else 1) for f in flips)]
    image = nib.as_closest_canonical(nib.Nifti1Image(data.astype(np.int16), affine))
    np.testing.assert_array_equal(got, np.asarray(image.dataobj))
    np.testing.assert_allclose(moved, image.affine)
