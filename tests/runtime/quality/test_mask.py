"""Masks: cut, eaten, with skull, without a lobe, at the border."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from runtime.quality import border, edge, field, fitted, outliers, shape
from runtime.quality.view import View


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("end", [0, 1])
def test_a_cut_ends_flat(brain, axis, end):
    whole = field.measure(brain.view())
    assert whole < 15.0
    filled = np.flatnonzero(brain.mask.any(axis=tuple(a for a in range(3) if a != axis)))
    at = int(filled[0] + (0.25 if end == 0 else 0.75) * len(filled))
    cut = brain.mask.copy()
    cut[(slice(None),) * axis + (slice(None, at) if end == 0 else slice(at, None),)] = False
    assert field.measure(View(brain.volume, cut, np.ones(3))) > 50.0


def test_what_touches_the_border_is_counted():
    mask = np.zeros((10, 10, 10), dtype=bool)
    mask[:5, 3:7, 3:7] = True
    assert border.measure(mask) == pytest.approx(16 / 80)
    mask[:1] = False
    assert border.measure(mask) == 0.0


def test_shape_ignores_size_and_place_and_misses_a_lobe(brain, make_brain):
    def measured(one, mask):
        return shape.measure(fitted.fit(one.volume, mask, brain.volume))

    assert measured(brain, brain.mask) > 0.99
    small = make_brain(0.8, 9)
    assert measured(small, small.mask) > 0.97
    z, y, x = np.ogrid[tuple(map(slice, brain.mask.shape))]
    lobe = (z - 75) ** 2 + (y - 180) ** 2 + (x - 96) ** 2 < 50**2
    assert measured(brain, brain.mask & ~lobe) < 0.95
    assert shape.measure(None) == 0.0


def test_the_rim_tells_a_mask_that_is_too_small_from_one_that_fits(brain):
    fits = edge.measure(brain.view())
    depth = ndimage.distance_transform_edt(brain.mask)
    eaten = View(brain.volume, depth > 15, np.ones(3))
    assert fits < 0.6
    assert edge.measure(eaten) > 0.9
    assert np.isnan(edge.measure(View(brain.volume, np.zeros_like(brain.mask), np.ones(3))))


def test_outliers_are_counted_on_both_sides(brain):
    assert outliers.measure(brain.view()) == 0.0
    image = brain.volume.copy()
    inside = np.flatnonzero(brain.mask)
    odd = np.random.default_rng(0).choice(inside, len(inside) // 10, replace=False)
    image.flat[odd[::2]] = 5000.0
    image.flat[odd[1::2]] = 0.0
    assert outliers.measure(brain.view(image)) == pytest.approx(10.0, abs=0.5)
