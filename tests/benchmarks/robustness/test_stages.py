"""A stage taken over from a head that was only moved changes nothing but by interpolation."""

import numpy as np
import pytest

from benchmarks.robustness import grid, stages
from benchmarks.robustness.perturbations import ALL, pose_of
from runtime.preprocess import bias
from runtime.preprocess.pipeline import Prepared

START = np.array([[1.0, 0, 0, 2.0], [0, 1, 0, -3.0], [0, 0, 1, 4.0], [0, 0, 0, 1]])


def seen(head, brain, pose):
    """A head prepared by a pipeline that makes no mistake."""
    corrected = bias.correct(head.array, brain, stages.three(head.spacing))
    volume, mask = stages.crop(corrected, brain, head.affine, pose @ START)
    prepared = Prepared(volume, mask, pose @ START, corrected, brain, head.affine)
    return stages.PreparedHead(head, prepared, pose)


def test_the_same_head_elsewhere_gives_the_same_volume(whole):
    head, brain = whole
    pose = pose_of(head)
    moved = grid.moved(head, pose)
    carried = grid.moved(type(head)(brain.astype(np.float32), head.affine), pose).array > 0.5
    base, other = seen(head, brain, np.eye(4)), seen(moved, carried, pose)
    parts = dict(stages.substituted(base, other))
    assert set(parts) == {"strip", "bias", "register", "voxels"}
    scale = base.prepared.volume.max()
    inner = base.prepared.mask & parts["strip"][1]
    for name, (volume, mask) in parts.items():
        both = 2.0 * (mask & base.prepared.mask).sum() / (mask.sum() + base.prepared.mask.sum())
        assert both > 0.99, name
        error = np.abs(volume - base.prepared.volume)[inner]
        assert np.median(error) < 0.02 * scale, name


def test_another_pose_is_told_as_one_of_the_undisturbed_head(whole):
    head, brain = whole
    pose = pose_of(head)
    base, other = seen(head, brain, np.eye(4)), seen(head, brain, pose)
    assert other.matrix(base) == pytest.approx(START)
    assert [one.name for one in ALL if not np.allclose(one.pose(head), np.eye(4))] == [
        "head moved 12°, 9 mm"
    ]
