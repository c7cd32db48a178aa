"""A head in air: quiet, with noise everywhere, and with ghosts along one axis."""

from __future__ import annotations

import numpy as np
import pytest

from runtime.quality import ghosts


@pytest.fixture(scope="module")
def head():
    """A ball of brain in a ball of head, in noisy air, at 2 mm."""
    x, y, z = np.ogrid[:96, :110, :96]
    radius = np.sqrt((x - 48.0) ** 2 + (y - 55.0) ** 2 + (z - 48.0) ** 2)
    noise = np.abs(np.random.default_rng(0).normal(0, 10, radius.shape))
    array = np.where(radius < 32, 1000.0, 0.0) + noise
    return array.astype(np.float32), radius < 27, np.diag([2.0, 2.0, 2.0, 1.0])


def test_even_noise_is_no_ghost(head):
    array, brain, affine = head
    assert 0.0 <= ghosts.measure(array, brain, affine) < 0.1


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_ghost_along_one_axis_is_measured(head, axis):
    array, brain, affine = head
    ghost = 0.05 * sum(np.roll(np.where(brain, 1000.0, 0.0), s, axis=axis) for s in (-40, 40))
    found = ghosts.measure((array + ghost).astype(np.float32), brain, affine)
    assert 1.0 < found < 8.0


def test_without_air_there_is_nothing_to_see(head):
    array, brain, affine = head
    assert np.isnan(ghosts.measure(np.where(brain, array, 0).astype(np.float32), brain, affine))
    tight = (slice(22, 75), slice(29, 82), slice(22, 75))
    assert np.isnan(ghosts.measure(array[tight], brain[tight], affine))
    assert np.isnan(ghosts.measure(array, np.zeros_like(brain), affine))


@pytest.mark.parametrize("depth", [8, 20])
def test_a_cleared_face_is_no_ghost(head, depth):
    array, brain, affine = head
    uneven = array + np.linspace(30, 0, 110, dtype=np.float32)[:, None]  # more noise in front
    uneven[:, 110 - depth :] = 0
    found = ghosts.measure(uneven, brain, affine)
    assert np.isnan(found) or found < 1.1


@pytest.mark.parametrize("far", [-32768, 32767])
def test_spikes_in_the_air_are_no_ghost(head, far):
    array, brain, affine = head
    odd = array.copy()
    places = np.random.default_rng(1).choice(odd.size, odd.size // 10_000, replace=False)
    odd.flat[places] = np.where(brain.flat[places], odd.flat[places], far)
    assert ghosts.measure(odd, brain, affine) < 0.8
