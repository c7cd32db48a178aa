"""One interpolation from the scan's voxels onto the model's crop or grid."""

import itertools

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from fmtool import space
from runtime.preprocess import resample
from runtime.transform import about


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


@pytest.mark.parametrize("order", [1, resample.ORDER])
def test_all_48_orientations_of_a_scan_give_one_volume(
    scan: tuple[np.ndarray, np.ndarray], order: int
) -> None:
    array, affine = scan
    expected = resample.to_crop(array, affine, MATRIX, order)
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
                np.asarray(canonical.dataobj, dtype=np.float32), canonical.affine, MATRIX, order
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


def at_crop(index: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Scan voxels of crop indices (n, 3)."""
    to_voxel = np.linalg.inv(affine) @ MATRIX @ space.crop_affine()
    return index @ to_voxel[:3, :3].T + to_voxel[:3, 3]


def test_the_cubic_crop_equals_a_slow_reference(scan: tuple[np.ndarray, np.ndarray]) -> None:
    """The spline's coefficients by a linear system, its value as a sum over all of them."""
    array, affine = scan
    within = resample.to_crop(np.ones_like(array), affine, MATRIX) > 0.9
    crop = resample.to_crop(array, affine, MATRIX, resample.ORDER, within)
    assert not crop[~within].any()
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    source = np.pad(array, 1, mode="edge").astype(np.float64)
    for axis in range(3):
        source = np.moveaxis(
            slow_coefficients(np.moveaxis(source, axis, 0), spacing[axis]), 0, axis
        )
    generator = np.random.default_rng(2)
    wanted = generator.permutation(np.argwhere(within))[:200]
    for index, at in zip(wanted, at_crop(wanted, affine) + 1.0, strict=True):
        weights = [bump(p - np.arange(n)) for p, n in zip(at, source.shape, strict=True)]
        expected = np.einsum("xyz,x,y,z", source, *weights)
        assert crop[tuple(index)] == pytest.approx(expected, abs=2e-3)


def test_the_cubic_crop_equals_scipys_to_the_scans_very_edge(
    scan: tuple[np.ndarray, np.ndarray],
) -> None:
    array, affine = scan
    crop = resample.to_crop(100 * array, affine, MATRIX, resample.ORDER)
    source = np.pad(100 * array, 1, mode="edge").astype(np.float64)
    for axis, spacing in enumerate(np.linalg.norm(affine[:3, :3], axis=0)):
        passes = int(np.ceil(4 / (6 * spacing**2)))
        side = 1 / (6 * spacing**2) / passes / 2
        for _ in range(passes):
            source = ndimage.correlate1d(source, [side, 1 - 2 * side, side], axis, mode="nearest")
        source = ndimage.spline_filter1d(source, resample.ORDER, axis, mode="nearest")
    box = tuple(slice(a.min() - 2, a.max() + 3) for a in np.nonzero(crop))
    index = np.stack(np.mgrid[box], axis=-1).reshape(-1, 3)
    at = at_crop(index, affine).T + 1.0
    expected = ndimage.map_coordinates(source, at, order=resample.ORDER, prefilter=False)
    assert np.count_nonzero(expected == 0) > 1000  # points beyond the edge
    np.testing.assert_allclose(crop[box].ravel(), expected, rtol=0, atol=2e-4)
    assert np.count_nonzero(crop) == np.count_nonzero(expected)


def bump(x: np.ndarray) -> np.ndarray:
    """The cubic B-spline's basis function."""
    x = np.abs(x)
    near, far = 2 / 3 - x**2 + x**3 / 2, (2 - x) ** 3 / 6
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


def slow_coefficients(lines: np.ndarray, spacing: float) -> np.ndarray:
    """Along the first axis: blurred by a variance of 1/6 mm^2, then solved for the spline's."""
    n, passes = len(lines), int(np.ceil(4 / (6 * spacing**2)))
    side = 1 / (6 * spacing**2) / passes / 2
    blur = np.eye(n) * (1 - 2 * side) + (np.eye(n, k=1) + np.eye(n, k=-1)) * side
    blur[0, 0] += side
    blur[-1, -1] += side
    far = 12  # the scan goes on as it ends
    long = np.pad(
        np.tensordot(np.linalg.matrix_power(blur, passes), lines, 1),
        [(far, far), (0, 0), (0, 0)],
        mode="edge",
    )
    m = len(long)
    values = np.eye(m) * 4 / 6 + (np.eye(m, k=1) + np.eye(m, k=-1)) / 6
    return np.linalg.solve(values, long.reshape(m, -1)).reshape(long.shape)[far:-far]


def test_cubic_reading_is_as_sharp_wherever_the_grid_lies() -> None:
    """A Gaussian of known width keeps its height, and linear reading does not."""

    def peak(offset: float, spacing: float, order: int) -> float:
        x = (np.arange(round(40 / spacing)) * spacing - 20.0 + offset) ** 2
        array = np.exp(-(x[:, None, None] + x[None, :, None] + x[None, None]) / (2 * 1.5**2))
        affine = np.diag([spacing] * 3 + [1.0])
        affine[:3, 3] = offset - 20.0
        return float(resample.to_crop(array.astype(np.float32), affine, np.eye(4), order).max())

    tries = [(0.0, 1.0), (0.5, 1.0), (0.3, 1.0), (0.0, 0.8), (0.2, 0.5), (0.4, 1.25)]
    cubic_peaks = [peak(offset, spacing, resample.ORDER) for offset, spacing in tries]
    linear = [peak(offset, spacing, 1) for offset, spacing in tries]
    expected = (1.5**2 / (1.5**2 + 1 / 6)) ** 1.5
    np.testing.assert_allclose(cubic_peaks, expected, rtol=0.015)
    assert max(linear) / min(linear) > 1.1


def test_half_millimetre_voxels_are_read_linearly() -> None:
    """A linear ramp survives any spacing: no filter, no shift of half a voxel."""
    x, y, z = np.meshgrid(*(np.arange(60) * 0.5,) * 3, indexing="ij")
    array = (100.0 + x + 2.0 * y + 3.0 * z).astype(np.float32)
    affine = np.diag([0.5, 0.5, 0.5, 1.0])
    grid = resample.to_grid(array, affine, np.eye(4))
    at = np.array([10, 12, 14])
    index = tuple(at - np.array(space.GRID_ORIGIN, dtype=int))
    assert grid[index] == pytest.approx(100 + 10 + 24 + 42, rel=1e-5)
