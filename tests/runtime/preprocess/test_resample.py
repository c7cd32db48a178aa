"""One interpolation from the scan's voxels onto the model's crop or grid."""

import itertools

import nibabel as nib
import numpy as np
import pytest

from fmtool import space
from runtime.preprocess import resample
from runtime.preprocess.transform import about


def slow_linear(array: np.ndarray, at: np.ndarray) -> float:
    """Trilinear interpolation at one voxel coordinate, one corner at a time, zero outside."""
    base = np.floor(at).astype(int)
    total = 0.0
    for corner in itertools.product((0, 1), repeat=3):
        index = base + corner
        if (index < 0).any() or (index >= array.shape).any():
            continue
        weight = np.prod([f if c else 1.0 - f for f, c in zip(at - base, corner, strict=True)])
        total += weight * array[tuple(index)]
    return float(total)


@pytest.fixture
def scan() -> tuple[np.ndarray, np.ndarray]:
    """A small oblique scan with anisotropic voxels, somewhere in the crop."""
    array = np.random.default_rng(0).random((14, 11, 9)).astype(np.float32) + 1.0
    affine = np.eye(4)
    affine[:3, :3] = about(np.zeros(3), np.array([0.2, -0.3, 0.1]), np.zeros(3))[:3, :3] * [
        1.1,
        2.0,
        3.0,
    ]
    affine[:3, 3] = (3.3, -20.1, 12.7)
    return array, affine


MATRIX = about(
    np.array([5.0, -10.0, 20.0]), np.array([0.1, 0.05, -0.2]), np.array([2.0, 3.0, -1.0])
)


def test_the_crop_equals_a_slow_reference(scan: tuple[np.ndarray, np.ndarray]) -> None:
    array, affine = scan
    crop = resample.to_crop(array, affine, MATRIX)
    assert crop.shape == space.CROP_SHAPE
    assert crop.dtype == np.float32
    to_voxel = np.linalg.inv(affine) @ MATRIX @ space.crop_affine()
    filled = np.argwhere(crop != 0)
    low, high = filled.min(axis=0) - 2, filled.max(axis=0) + 3
    generator = np.random.default_rng(1)
    for index in generator.integers(low, high, size=(3000, 3)):
        at = to_voxel[:3, :3] @ index + to_voxel[:3, 3]
        assert crop[tuple(index)] == pytest.approx(slow_linear(array, at), abs=1e-4)
    outside = np.ones(space.CROP_SHAPE, dtype=bool)
    outside[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = False
    assert not crop[outside].any()


def test_the_grid_and_the_crop_are_one(scan: tuple[np.ndarray, np.ndarray]) -> None:
    grid = resample.to_grid(*scan, MATRIX)
    assert grid.shape == space.GRID_SHAPE
    np.testing.assert_allclose(space.to_crop(grid), resample.to_crop(*scan, MATRIX), atol=1e-4)


def test_a_scan_on_the_grid_is_copied_exactly() -> None:
    grid = np.random.default_rng(0).random(space.GRID_SHAPE).astype(np.float32)
    same = resample.to_grid(grid, space.grid_affine(), np.eye(4))
    np.testing.assert_array_equal(same, grid)
    crop = resample.to_crop(grid, space.grid_affine(), np.eye(4))
    np.testing.assert_array_equal(crop, space.to_crop(grid))


def test_nearest_keeps_the_values(scan: tuple[np.ndarray, np.ndarray]) -> None:
    array, affine = scan
    labels = np.rint(array * 10).astype(np.float32)
    found = np.unique(resample.to_crop(labels, affine, MATRIX, order=0))
    assert set(found) <= {0.0, *np.unique(labels)}


def test_within_gives_the_same_values_there(scan: tuple[np.ndarray, np.ndarray]) -> None:
    whole = resample.to_crop(*scan, MATRIX)
    mask = whole > 1.5
    part = resample.to_crop(*scan, MATRIX, within=mask)
    np.testing.assert_array_equal(part[mask], whole[mask])


@pytest.mark.parametrize("far", [0.0, 500.0])
def test_nothing_there_gives_zeros(far: float) -> None:
    array = np.full((4, 4, 4), float(far > 0), dtype=np.float32)
    affine = np.eye(4)
    affine[:3, 3] = far
    assert not resample.to_crop(array, affine, np.eye(4)).any()


def test_all_48_orientations_of_a_scan_give_one_volume(
    scan: tuple[np.ndarray, np.ndarray],
) -> None:
    array, affine = scan
    expected = resample.to_crop(array, affine, MATRIX)
    start = nib.io_orientation(affine)
    seen = 0
    for axes in itertools.permutations(range(3)):
        for flips in itertools.product((1, -1), repeat=3):
            wanted = np.array(list(zip(axes, flips, strict=True)))
            turned = nib.Nifti1Image(array, affine).as_reoriented(
                nib.orientations.ornt_transform(start, wanted)
            )
            canonical = nib.as_closest_canonical(turned)
            got = resample.to_crop(
                np.asarray(canonical.dataobj, dtype=np.float32), canonical.affine, MATRIX
            )
            assert np.linalg.norm(got - expected) < 1e-3 * np.linalg.norm(expected)
            seen += 1
    assert seen == 48


def test_the_raw_order_of_axes_does_not_matter_either(
    scan: tuple[np.ndarray, np.ndarray],
) -> None:
    """Geometry is in the affine alone: an array left in its stored order gives the same."""
    array, affine = scan
    turned = resample.to_crop(array.transpose(1, 2, 0), affine[:, [1, 2, 0, 3]], MATRIX)
    np.testing.assert_allclose(turned, resample.to_crop(array, affine, MATRIX), atol=1e-4)


def test_half_millimetre_voxels_are_read_linearly() -> None:
    """A linear ramp survives any spacing: no filter, no shift of half a voxel."""
    x, y, z = np.meshgrid(*(np.arange(60) * 0.5,) * 3, indexing="ij")
    array = (100.0 + x + 2.0 * y + 3.0 * z).astype(np.float32)
    affine = np.diag([0.5, 0.5, 0.5, 1.0])
    grid = resample.to_grid(array, affine, np.eye(4))
    at = np.array([10, 12, 14])
    index = tuple(at - np.array(space.GRID_ORIGIN, dtype=int))
    assert grid[index] == pytest.approx(100 + 10 + 24 + 42, rel=1e-5)
