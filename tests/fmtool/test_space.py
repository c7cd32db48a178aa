"""The grid, the crop, and the affines that tie them to MNI millimetres."""

import numpy as np
import pytest

from fmtool import space


def test_crop_is_upstreams_transposition_and_slices():
    grid = np.arange(np.prod(space.GRID_SHAPE), dtype=np.int32).reshape(space.GRID_SHAPE)
    expected = np.transpose(grid, (2, 1, 0))[10:160, 19:211, 1:]
    assert space.to_crop(grid).shape == space.CROP_SHAPE == (150, 192, 192)
    np.testing.assert_array_equal(space.to_crop(grid), expected)


@pytest.mark.parametrize("index", [(0, 0, 0), (149, 191, 191), (20, 30, 40)])
def test_crop_affine_points_where_the_grid_affine_does(index):
    grid = np.zeros(space.GRID_SHAPE, dtype=np.uint8)
    marked = np.zeros(space.CROP_SHAPE, dtype=np.uint8)
    marked[index] = 1
    grid = space.to_grid(marked)
    (on_grid,) = np.argwhere(grid)
    world = space.grid_affine() @ [*on_grid, 1]
    np.testing.assert_allclose(space.crop_affine() @ [*index, 1], world)


def test_the_grid_starts_at_its_origin_and_is_ras():
    affine = space.grid_affine()
    np.testing.assert_array_equal(affine[:3, :3], np.eye(3))
    np.testing.assert_array_equal(affine[:3, 3], (-96, -132, -78))


def test_to_grid_inverts_to_crop():
    crop = np.random.default_rng(0).random(space.CROP_SHAPE, dtype=np.float32)
    np.testing.assert_array_equal(space.to_crop(space.to_grid(crop)), crop)


@pytest.mark.parametrize("convert", [space.to_crop, space.to_grid])
def test_other_shapes_are_refused(convert):
    with pytest.raises(ValueError, match=r"shape \(1\d\d"):
        convert(np.zeros((3, 4, 5)))
