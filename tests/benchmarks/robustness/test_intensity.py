"""Noise of the stated size, fields of the stated reach, gamma about its anchor."""

import numpy as np
import pytest

from benchmarks.robustness import intensity

ROLL = 20


def test_noise_has_the_stated_signal_to_noise_ratio(whole):
    head, brain = whole
    found = intensity.noisy(head, brain, 10.0, np.random.default_rng(ROLL))
    deviation = (found.array - head.array)[brain].std()
    assert head.array[brain].mean() / deviation == pytest.approx(10.0, rel=0.02)


def test_in_air_the_noise_is_rayleighs(whole):
    head, brain = whole
    sigma = head.array[brain].mean() / 10.0
    air = intensity.noisy(head, brain, 10.0, np.random.default_rng(ROLL)).array[:8, :8]
    assert head.array[:8, :8].max() < 1e-3
    assert air.mean() == pytest.approx(sigma * np.sqrt(np.pi / 2.0), rel=0.03)


def test_noise_is_the_same_for_the_same_seed_and_stays_out_of_what_was_stripped(stripped):
    head, brain = stripped
    one, two = (intensity.noisy(head, brain, 10.0, np.random.default_rng(1)) for _ in range(2))
    assert np.array_equal(one.array, two.array)
    assert (one.array[~head.outline] == 0.0).all()


def test_the_field_reaches_as_far_as_stated_and_is_smooth(whole):
    head, brain = whole
    found = intensity.shaded(head, brain, 40.0, np.random.default_rng(ROLL))
    field = found.array[brain] / head.array[brain]
    assert (field.min(), field.max()) == pytest.approx((0.8, 1.2), abs=1e-4)
    inner = np.where(brain, found.array / np.where(brain, head.array, 1.0), np.nan)
    assert np.nanmax(np.abs(np.diff(inner, axis=0))) < 0.02


def test_gamma_bends_about_its_anchor(whole):
    head, brain = whole
    anchor = np.percentile(head.array[brain], 99.0)
    found = intensity.curved(head, brain, 0.5).array
    half = np.argmin(np.abs(head.array - anchor / 4.0))
    assert found.flat[half] == pytest.approx(anchor / 2.0, rel=0.02)
    top = np.argmin(np.abs(head.array - anchor))
    assert found.flat[top] == pytest.approx(anchor, rel=0.01)
