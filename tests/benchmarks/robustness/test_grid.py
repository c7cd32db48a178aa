"""The grid may lie as it likes: every landmark keeps its place, and the affine says so."""

import numpy as np
import pytest
from scipy import ndimage

from benchmarks.robustness import grid
from benchmarks.robustness.head import PerturbedHead
from runtime.transform import about

CHANGES = {
    "turned": lambda h: grid.turned(h, (1, -1, 1), 15.0),
    "shifted": lambda h: grid.shifted(h, (0.5, 0.5, 0.5)),
    "finer": lambda h: grid.spaced(h, 1.0),
    "coarser": lambda h: grid.spaced(h, 3.0),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_landmark_keeps_its_place(whole, landmark, name):
    head, _ = whole
    found = CHANGES[name](head)
    assert not np.allclose(found.affine, head.affine)
    assert landmark(found) == pytest.approx(landmark(head), abs=0.05)


@pytest.mark.parametrize("name", CHANGES)
def test_every_voxel_shows_what_lies_at_its_place(whole, places, name):
    head, _ = whole
    found = CHANGES[name](head)
    index = (places(found) - head.affine[:3, 3]) @ np.linalg.inv(head.affine[:3, :3]).T
    expected = ndimage.map_coordinates(head.array, np.moveaxis(index, -1, 0), order=3)
    inner = np.linalg.norm(places(found) / [50.0, 58.0, 48.0], axis=-1) < 0.8
    error = np.abs(found.array - expected)[inner].max()
    assert error < (6.0 if name == "coarser" else 0.5)  # the blob of 80 is blurred a little


def test_a_turned_grid_is_oblique_and_loses_nothing(whole):
    head, _ = whole
    found = grid.turned(head, (0, 0, 1), 20.0)
    cosines = found.affine[:3, :3] / found.spacing
    assert np.rad2deg(np.arccos(cosines[0, 0])) == pytest.approx(20.0)
    assert found.spacing == pytest.approx(head.spacing)
    volume = np.prod(head.spacing)
    assert found.array.sum() * volume == pytest.approx(head.array.sum() * volume, rel=1e-3)


def test_a_moved_head_lies_where_the_pose_puts_it(whole, landmark):
    head, _ = whole
    pose = about(
        np.zeros(3), np.deg2rad(12.0) * np.array([0.6, 0.0, 0.8]), np.array([5.0, -4.0, 6])
    )
    found = grid.moved(head, pose)
    assert np.array_equal(found.affine, head.affine)
    expected = pose[:3, :3] @ landmark(head) + pose[:3, 3]
    assert landmark(found) == pytest.approx(expected, abs=0.05)


def test_coarser_voxels_do_not_alias():
    """A pattern that the new voxels cannot hold is blurred away, not folded to a slow wave."""
    z = np.arange(96)
    stripes = 100.0 + 50.0 * np.cos(2.0 * np.pi * z / 2.5)
    array = np.broadcast_to(stripes, (48, 48, 96)).astype(np.float32)
    found = grid.spaced(PerturbedHead(array, np.diag([1.0, 1.0, 1.0, 1.0])), 2.0)
    line = found.array[12, 12, 8:-8]
    plain = array[24, 24, ::2][8:-8]
    assert np.ptp(plain) > 60.0
    assert np.ptp(line) < 0.35 * np.ptp(plain)


def test_voxels_have_the_size_asked_for_over_the_same_field_of_view(whole):
    head, _ = whole
    found = grid.spaced(head, 1.2)
    assert found.spacing == pytest.approx([1.2] * 3)
    extent, before = (np.array(h.array.shape) * h.spacing for h in (found, head))
    assert extent == pytest.approx(before, abs=1.2)


def test_the_factorised_spline_is_the_whole_one(whole):
    head, _ = whole
    found = grid.shifted(head, (0.3, -0.2, 0.4))
    slow = ndimage.affine_transform(head.array, np.eye(3), (0.3, -0.2, 0.4), order=grid.ORDER)
    inner = (slice(2, -2),) * 3
    assert found.array[inner] == pytest.approx(np.maximum(slow, 0)[inner], abs=1e-2)


def test_a_strip_stays_a_strip(stripped):
    head, _ = stripped
    found = grid.turned(head, (1, 1, 1), 5.0)
    assert found.outline is not None
    assert (found.array[~found.outline] == 0.0).all()
    ml, before = (h.outline.sum() * np.prod(h.spacing) for h in (found, head))
    assert ml == pytest.approx(before, rel=2e-3)
