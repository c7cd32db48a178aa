"""Every way to spoil a scan: seeded, and really another scan or another mask."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.shared.spoiled import field
from benchmarks.shared.spoiled.kinds import MASKS, SCANS
from benchmarks.shared.spoiled.strip import Redrawn
from runtime.preprocess import pipeline
from runtime.preprocess.upright import in_order
from runtime.scan import Scan


@pytest.fixture(scope="module")
def head():
    """A ball of brain in a ball of head, at 4 mm."""
    grids = np.ogrid[:48, :54, :50]
    radius = np.sqrt(sum((g - n / 2) ** 2 for g, n in zip(grids, (48, 54, 50), strict=True)))
    brain = radius < 16
    array = np.where(radius < 21, 300.0, 0.0) + np.where(brain, 400.0, 0.0)
    array += np.where(radius < 12, 200.0, 0.0)
    affine = np.diag([4.0, 4.0, 4.0, 1.0])
    facts = {"spacing": [4.0, 4.0, 4.0], "warnings": []}
    return Scan(array.astype(np.float32), affine, None, None, facts), brain


@pytest.mark.parametrize("kind", SCANS)
def test_a_spoiled_scan_is_another_and_always_the_same(head, kind):
    scan, brain = head
    once, again = (SCANS[kind](scan, brain, np.random.default_rng(7)) for _ in range(2))
    np.testing.assert_array_equal(once.array, again.array)
    assert once.array.dtype == np.float32
    assert np.isfinite(once.array).all()
    spacing = np.linalg.norm(once.affine[:3, :3], axis=0)
    np.testing.assert_allclose(sorted(once.facts["spacing"]), np.sort(spacing))
    same = once.array.shape == scan.array.shape and np.array_equal(once.array, scan.array)
    assert not same or not np.allclose(once.affine, scan.affine)


@pytest.mark.parametrize("kind", MASKS)
def test_a_redrawn_mask_is_another_one(head, kind):
    _, brain = head
    redrawn = MASKS[kind](brain, np.array([4.0, 4.0, 4.0]), np.random.default_rng(7))
    assert redrawn.dtype == bool
    assert redrawn.any()
    assert (redrawn != brain).sum() > 0.1 * brain.sum()


def test_there_are_24_turns_and_24_with_a_mirror():
    assert next(iter(field.turns())) == ((0, 1, 2), (1, 1, 1))
    assert len(set(field.turns())) == len(set(field.turns(mirrored=True))) == 24
    assert not set(field.turns()) & set(field.turns(mirrored=True))


def test_a_turned_scan_keeps_each_axis_voxel_size(head):
    scan, _ = head
    thin = Scan(scan.array, np.diag([1.0, 2.0, 4.0, 1.0]), None, None, scan.facts)
    found = field.turned(thin, ((2, 0, 1), (1, -1, 1)))
    assert found.array.shape == (50, 48, 54)
    np.testing.assert_allclose(np.diag(found.affine), [4.0, 1.0, 2.0, 1.0])
    np.testing.assert_array_equal(found.array, scan.array.transpose(2, 0, 1)[:, ::-1])


class _NoNetworks(Redrawn):
    """Stages without a bundle, whose strip calls everything bright a brain."""

    def __init__(self):
        self.skull = "stripped"
        self._nets = None


@pytest.mark.parametrize("padding", [(0, 0), (20, 11)])
@pytest.mark.parametrize("turned", [False, True])
def test_a_redrawn_mask_of_a_padded_scan_lands_on_its_own_voxels(monkeypatch, padding, turned):
    """The stages see the head without the frame, and perhaps in another order of its voxels."""
    voxels = np.random.default_rng(2).uniform(100, 900, (40, 44, 36)).astype(np.float32)
    array = np.pad(voxels, padding)
    affine = np.diag([1.5, 1.0, 2.0, 1.0])
    affine[:3, 3] = -20.0, 7.0, 31.5
    scan = Scan(array, affine, None, None, {"spacing": [1.5, 1.0, 2.0]})
    seen = []

    def found(self, level, affine, timings):
        head, brain, _ = self._brain(level)
        seen.append((head, brain, level))

    def upright(self, level, affine, timings):
        turn = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
        return self._found(*(in_order(level, affine, turn) if turned else (level, affine)), timings)

    monkeypatch.setattr(pipeline.Preprocessor, "_found", found)
    monkeypatch.setattr(pipeline.Preprocessor, "_upright", upright)
    monkeypatch.setattr(pipeline.intensity, "level", lambda array: array)
    monkeypatch.setattr(pipeline, "brain_mask_of_stripped", lambda level, nets: (level > 800, 0.0))
    stages = _NoNetworks()
    head, brain = stages.brain(scan)
    np.testing.assert_array_equal(brain, array > 800)
    stages.mask = head, array > 500
    with pytest.raises(AttributeError):  # nothing was found: the stages end here
        stages._stages(scan)
    ((head, brain, level),) = seen
    assert head == "stripped"
    assert level.size == voxels.size
    assert (level.shape == voxels.shape) != turned
    np.testing.assert_array_equal(brain, level > 500)
