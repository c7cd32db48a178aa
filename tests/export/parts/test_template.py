"""The bundle's template, made from nilearn's files."""

import gzip
import io

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from fmtool import space

pytest.importorskip("nilearn")
from export.parts.template import clean_mask, make_template, pose, template_bytes


@pytest.fixture(scope="module")
def image() -> nib.Nifti1Image:
    return make_template()


def test_it_is_on_the_models_grid(image: nib.Nifti1Image) -> None:
    assert image.shape == space.GRID_SHAPE
    assert image.get_data_dtype() == np.uint8
    np.testing.assert_array_equal(image.affine, space.grid_affine())
    assert image.header["sform_code"] == 4
    assert image.header["qform_code"] == 4


def test_its_brain_is_one_filled_piece_in_a_plausible_place(image: nib.Nifti1Image) -> None:
    mask = np.asarray(image.dataobj) > 0
    assert ndimage.label(mask)[1] == 1
    np.testing.assert_array_equal(ndimage.binary_fill_holes(mask), mask)
    assert 1.6e6 < mask.sum() < 1.95e6
    centre = np.array(ndimage.center_of_mass(mask)) + space.GRID_ORIGIN
    np.testing.assert_allclose(centre, [0.0, -20.0, 7.0], atol=4.0)
    assert not mask[[0, -1]].any()


def test_the_crop_keeps_the_brain(image: nib.Nifti1Image) -> None:
    mask = np.asarray(image.dataobj) > 0
    assert space.to_crop(mask).sum() > 0.98 * mask.sum()


def test_white_matter_is_brighter_than_grey_and_fluid_is_dark(image: nib.Nifti1Image) -> None:
    brain = np.asarray(image.dataobj)

    def at(x: float, y: float, z: float) -> int:
        index = np.rint(np.array([x, y, z]) - space.GRID_ORIGIN).astype(int)
        return int(brain[tuple(index)])

    assert at(-26, -20, 30) > at(-12, 10, 10) > at(-6, 8, 8)  # white matter, caudate, ventricle


def test_its_bytes_are_a_file_without_a_date(image: nib.Nifti1Image) -> None:
    data = template_bytes()
    assert data[4:8] == bytes(4)  # gzip's time of writing
    read = nib.Nifti1Image.from_stream(io.BytesIO(gzip.decompress(data)))
    np.testing.assert_array_equal(np.asarray(read.dataobj), np.asarray(image.dataobj))
    np.testing.assert_array_equal(read.affine, image.affine)


def test_the_pose_is_rigid_and_small() -> None:
    matrix = pose()
    np.testing.assert_allclose(matrix[:3, :3] @ matrix[:3, :3].T, np.eye(3), atol=1e-12)
    assert np.linalg.norm((matrix - np.eye(4))[:3] @ [0.0, -20.0, 10.0, 1.0]) < 0.3


def test_clean_mask_drops_islands_and_threads_and_fills_holes() -> None:
    mask = np.zeros((30, 30, 30), dtype=bool)
    mask[5:20, 5:20, 5:20] = True
    solid = mask.copy()
    mask[10:12, 10:12, 10:12] = False  # a hole
    mask[20:24, 10, 10] = True  # a thread
    mask[25:29, 25:29, 25:29] = True  # an island
    cleaned = clean_mask(mask)
    assert cleaned[10:12, 10:12, 10:12].all()
    assert not cleaned[21:].any()
    assert (cleaned & ~solid).sum() <= 1
    assert cleaned.sum() > 0.95 * solid.sum()
