"""Second differences against loops, and what noise and sharpness make of them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, gaussian_filter1d

from runtime.quality import noise, sharpness
from runtime.quality.texture import differences
from runtime.quality.view import View


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_differences_are_those_of_a_loop(axis):
    random = np.random.default_rng(axis)
    image = random.normal(size=(9, 10, 11)).astype(np.float32)
    brain = random.uniform(size=image.shape) < 0.8
    spacing = np.array([1.0, 2.0, 4.0])
    k = max(1, round(2.0 / spacing[axis]))
    step = [max(1, round(2.0 / s)) for s in spacing]
    step[axis] = 1
    expected = []
    for at in np.ndindex(*image.shape):
        if any(i % s for i, s in zip(at, step, strict=True)):
            continue
        low, high = list(at), list(at)
        low[axis] -= k
        high[axis] += k
        if low[axis] < 0 or high[axis] >= image.shape[axis]:
            continue
        if brain[at] and brain[tuple(low)] and brain[tuple(high)]:
            second = image[at] - (image[tuple(low)] + image[tuple(high)]) / 2
            expected.append(abs(second) / np.sqrt(1.5))
    found = differences(image, brain, spacing, axis, 2.0)
    np.testing.assert_allclose(np.sort(found), np.sort(expected), rtol=1e-5)


def test_a_sliver_has_no_differences():
    thin = np.ones((2, 5, 5), dtype=bool)
    assert differences(thin.astype(np.float32), thin, np.ones(3), 0, 2.0).size == 0


@pytest.mark.parametrize("percent", [2.0, 8.0])
def test_noise_is_what_was_added(percent):
    """White noise on an even brain, whatever the slope of a bias field over it."""
    mask = np.ones((60, 60, 60), dtype=bool)
    ramp = np.linspace(900, 1100, 60, dtype=np.float32)[:, None, None]
    image = ramp + np.random.default_rng(0).normal(0, 10 * percent, mask.shape)
    found = noise.measure(View(image.astype(np.float32), mask, np.ones(3)))
    assert found == pytest.approx(percent, rel=0.12)


def test_edges_hardly_count_as_noise(brain):
    assert noise.measure(brain.view()) < 0.5


def test_blur_along_one_axis_is_seen(brain):
    """As slices of 6 mm that were interpolated, and as smoothing."""
    random = np.random.default_rng(0)
    grain = gaussian_filter(random.normal(size=brain.mask.shape), 0.6)
    image = np.where(brain.mask, brain.volume + 400 * grain, 0).astype(np.float32)
    sharp = sharpness.measure(brain.view(image))
    for axis in range(3):
        dull = gaussian_filter1d(image, 2.5, axis=axis)
        assert sharpness.measure(brain.view(dull)) < 0.6 * sharp
    assert sharpness.measure(brain.view(gaussian_filter(image, 2.5))) < 0.6 * sharp


def test_an_even_brain_has_no_sharpness():
    mask = np.ones((20, 20, 20), dtype=bool)
    assert np.isnan(sharpness.measure(View(mask.astype(np.float32), mask, np.ones(3))))
