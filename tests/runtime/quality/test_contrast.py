"""T1-weighted, T2-weighted, nothing; whatever the size, the place and the scale."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from fmtool.space import CROP_SHAPE
from runtime.quality import contrast, fitted


def measure(volume, mask, template):
    return contrast.measure(fitted.fit(volume, mask, template))


def test_contrast_knows_t1_from_t2_and_from_nothing(brain, make_brain):
    small = make_brain(0.85, 6)
    volume, mask, template = small.volume, small.mask, brain.volume
    noise = gaussian_filter(np.random.default_rng(0).normal(size=mask.shape), 1.0)
    t1 = measure(volume + (60 * noise).astype(np.float32), mask, template)
    t2 = measure(np.where(mask, 1200 - volume, 0).astype(np.float32), mask, template)
    none = measure(np.where(mask, 500 + noise, 0).astype(np.float32), mask, template)
    assert t1 > 1.0
    assert t2 < -1.0
    assert abs(none) < 0.3
    assert measure(mask.astype(np.float32), mask, template) == 0.0


def test_contrast_ignores_size_place_and_scale(brain, make_brain):
    template = brain.volume
    whole = measure(brain.volume, brain.mask, template)
    for other in (make_brain(0.8), make_brain(0.8, 9)):
        assert measure(other.volume, other.mask, template) == pytest.approx(whole, rel=0.1)
    small = make_brain(0.8)
    moved = np.where(small.mask, 3 * small.volume + 50, 0).astype(np.float32)
    alike = measure(small.volume, small.mask, template)
    assert measure(moved, small.mask, template) == pytest.approx(alike, rel=1e-3)


def test_contrast_of_a_sliver_is_zero(brain):
    mask = np.zeros(CROP_SHAPE, dtype=bool)
    mask[:2, :2, :2] = True
    assert measure(mask.astype(np.float32), mask, brain.volume) == 0.0
