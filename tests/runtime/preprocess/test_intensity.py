"""Heads whose intensities are odd become what they were; ordinary ones pass unchanged."""

from __future__ import annotations

import numpy as np
import pytest

from runtime.preprocess import intensity

SIZE = 64


def radius():
    line = np.linspace(-1, 1, SIZE) ** 2
    return np.sqrt(line[:, None, None] + line[:, None] + line)


BRAIN = radius() < 0.7


def brain():
    """White in grey matter in fluid, zero around, as a scanner would store it."""
    rng = np.random.default_rng(0)
    tissue = np.select([radius() < 0.5, radius() < 0.64], [900.0, 650.0], 200.0)
    return np.where(BRAIN, np.rint(rng.normal(tissue, 25)), 0).astype(np.float32)


def whole():
    """The brain in skull and skin, in air with the noise of a magnitude."""
    noise = np.rint(np.abs(np.random.default_rng(1).normal(0, 8, BRAIN.shape)))
    skin = (radius() > 0.82) & (radius() < 0.9)
    return np.where(BRAIN, brain(), np.where(skin, 1100.0, 0.0) + noise).astype(np.float32)


HEADS = {"brain": brain, "whole": whole}


def alike(found, head):
    """Whether intensities are a head's but for a gain."""
    gain = found[BRAIN].astype(np.float64).mean() / head[BRAIN].mean()
    np.testing.assert_allclose(found, gain * head, atol=2e-3 * gain * head.max())


@pytest.mark.parametrize("make", HEADS.values(), ids=HEADS)
@pytest.mark.parametrize("gain", [0.01, 1.0, 20.0])
def test_an_ordinary_head_is_not_touched(make, gain):
    head = make() * np.float32(gain)
    assert intensity.level(head) is head
    assert intensity.despike(head, BRAIN) is head


@pytest.mark.parametrize("make", HEADS.values(), ids=HEADS)
@pytest.mark.parametrize(
    ("gain", "offset"),
    [
        (1, 1000),
        (1, -100),
        (1e-8, 0),
        (1e12, 0),
        (1e-3, -1),
        (2 / 1100, -1),
        (3.7, 12345),
        (1e-6, 5),
    ],
)
def test_gain_and_offset_are_undone(make, gain, offset):
    head = make()
    alike(
        intensity.level((gain * (head.astype(np.float64) + offset / gain)).astype(np.float32)), head
    )


@pytest.mark.parametrize("far", [-32768.0, 32767.0, 1e9])
@pytest.mark.parametrize("make", HEADS.values(), ids=HEADS)
def test_spikes_hide_neither_gain_nor_offset(make, far):
    head = make()
    odd = head + np.float32(1000)
    odd.flat[np.random.default_rng(2).choice(odd.size, odd.size // 10_000, replace=False)] = far
    found = intensity.level(odd)
    alike(np.where(odd == far, head, found), head)


def test_a_brain_that_was_z_scored_has_its_background_below_it_again():
    head = brain()
    scored = np.where(BRAIN, (head - head[BRAIN].mean()) / head[BRAIN].std(), 0).astype(np.float32)
    found = intensity.level(scored)
    assert (found[~BRAIN] == 0).all()
    assert np.mean(found[BRAIN] > 0) > 0.99
    assert np.corrcoef(found[BRAIN], head[BRAIN])[0, 1] > 0.9999
    assert np.median(found[BRAIN]) > 0.4 * np.quantile(found[BRAIN], 0.99)


def test_a_grey_of_the_brain_that_equals_the_background_is_kept():
    head = brain()
    counts = np.where(BRAIN, np.rint((head - 650) / 10), 0).astype(np.float32)  # whole numbers
    inside = BRAIN & (counts == 0)
    assert np.count_nonzero(inside & (radius() < 0.6)) > 1000
    found = intensity.level(counts)
    assert (found[inside & (radius() < 0.6)] > 0).all()


def test_an_offset_that_spared_the_background_is_undone():
    head = brain()
    found = intensity.level(np.where(BRAIN, head + 5000, 0).astype(np.float32))
    assert (found[~BRAIN] == 0).all()
    assert np.quantile(found[BRAIN], 0.01) < 0.25 * np.quantile(found[BRAIN], 0.9)


def test_what_has_one_value_only_stays():
    flat = np.where(BRAIN, 3, 0).astype(np.float32)
    assert intensity.level(flat) is flat
    assert intensity.despike(flat, np.zeros_like(BRAIN)) is flat


@pytest.mark.parametrize("make", HEADS.values(), ids=HEADS)
@pytest.mark.parametrize("far", [-32768.0, 0.0, 2600.0, 32767.0])
def test_spikes_become_what_is_around_them(make, far):
    head = make()
    odd = head.copy()
    places = np.argwhere(radius() < 0.56)
    places = places[(places % 5 == 0).all(axis=1)]
    odd[tuple(places.T)] = odd[32, 32, 32:34] = far
    kept = odd.copy()
    found = intensity.despike(odd, BRAIN)
    np.testing.assert_array_equal(odd, kept)  # not in place
    assert np.abs(found - head)[BRAIN].max() < 450  # of 900: a neighbour's tissue at most
    untouched = odd == head
    np.testing.assert_array_equal(found[untouched], head[untouched])


def test_a_spot_of_many_voxels_is_cleared_and_one_in_the_skin_left():
    odd = whole()
    odd[30:33, 30:33, 30:33] = 32767
    found = intensity.despike(odd, BRAIN)
    assert found[BRAIN].max() < 1300
    skin = whole()
    skin[1, 32, 32] = 32767
    assert intensity.despike(skin, BRAIN) is skin


def test_a_vessel_is_no_spike():
    head = brain()
    head[:, 30, 30] = 3 * 900
    head[30, :, 31] = 3 * 900
    assert intensity.despike(head, BRAIN) is head
