"""The smoothed maps of three tissues of a made brain."""

from __future__ import annotations

import numpy as np
import pytest

from training.evidence import soft_tissue

SHAPE = (62, 70, 66)


def brain():
    """A ball of grey, a white core and a hole of fluid."""
    z, y, x = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    far = np.sqrt((z - 31) ** 2 + (y - 35) ** 2 + (x - 33) ** 2)
    volume = np.where(far < 18, 110.0, 80.0)
    volume[28:44, 40:56, 12:28] = 20.0
    return volume.astype(np.float32), far < 28


def test_there_is_a_sample_every_four_voxels_of_each_of_three_tissues():
    maps = soft_tissue.smoothed(*brain())
    assert maps.shape == (3, 16, 18, 17)
    assert maps.dtype == np.float16


def test_the_shares_of_a_place_deep_inside_add_up_to_one_and_outside_to_nothing():
    volume, mask = brain()
    total = soft_tissue.smoothed(volume, np.ones_like(mask)).astype(float).sum(axis=0)
    assert total[8, 9, 8] == pytest.approx(1.0, abs=0.01)
    assert soft_tissue.smoothed(volume, mask).astype(float).sum(axis=0)[0, 0, 0] < 0.01


def test_each_tissue_is_where_it_is():
    fluid, grey, white = soft_tissue.smoothed(*brain()).astype(float)
    assert np.unravel_index(fluid.argmax(), fluid.shape) == (8, 11, 5)
    assert white[7, 8, 8] > 0.5 > grey[7, 8, 8]
    assert np.unravel_index(white.argmax(), white.shape)[0] in (7, 8)


def test_the_scanner_s_gain_and_offset_do_not_matter():
    volume, mask = brain()
    assert np.array_equal(
        soft_tissue.smoothed(volume, mask), soft_tissue.smoothed(4.0 * volume + 64.0, mask)
    )


def test_inner_products_are_of_the_maps_around_their_mean(monkeypatch):
    monkeypatch.setattr(soft_tissue, "_PART", 7)
    maps = np.random.default_rng(0).random((5, 3, 4, 2, 5)).astype(np.float16)
    flat = maps.reshape(5, -1).astype(float)
    flat -= flat.mean(axis=0)
    assert soft_tissue.inner_products(list(maps)) == pytest.approx(flat @ flat.T, abs=1e-4)
