"""Fields of view: padding comes off wherever it was put, what a scan has of its own stays."""

from __future__ import annotations

import numpy as np
import pytest

from runtime.preprocess import crop

SHAPE = (80, 96, 92)
SPACING = np.full(3, 2.0)


def whole():
    """A ball in noisy air; the last plane of two axes empty, as reconstructions leave it."""
    x, y, z = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    ball = (x - 40) ** 2 + (y - 48) ** 2 + (z - 46) ** 2 < 35**2
    noise = np.rint(np.abs(np.random.default_rng(0).normal(0, 3, SHAPE)))
    head = np.where(ball, 900.0, noise).astype(np.float32)
    head[:, -1] = head[:, :, -1] = 0
    return head


def stripped():
    head = whole()
    return np.where(head >= 900, head, 0).astype(np.float32)


def held(array, spacing=SPACING):
    return array[crop.content(array, spacing)]


@pytest.mark.parametrize("make", [whole, stripped])
def test_an_ordinary_field_is_whole(make):
    head = make()
    assert held(head).shape == SHAPE


@pytest.mark.parametrize("value", [0, -1000, 4095])
@pytest.mark.parametrize(
    "pads", [[(9, 9)] * 3, [(3, 0), (0, 21), (8, 2)], [(90, 70)] * 3, [(0, 0), (0, 0), (125, 0)]]
)
def test_padding_comes_off(value, pads):
    head = whole()
    np.testing.assert_array_equal(held(np.pad(head, pads, constant_values=value)), head)


def test_frames_around_frames_come_off():
    head = whole()
    framed = np.pad(np.pad(head, 7, constant_values=50), 5, constant_values=4095)
    np.testing.assert_array_equal(held(framed), head)


def test_a_few_hot_voxels_do_not_hide_a_frame():
    head = whole()
    framed = np.pad(head, 12)
    framed[0, 0, 0] = framed[3, 50, 50] = framed[50, 110, 4] = 32767
    np.testing.assert_array_equal(held(framed), head)


def test_a_bright_frame_of_a_stripped_head_comes_off_and_its_own_margin_stays():
    head = stripped()
    np.testing.assert_array_equal(held(np.pad(head, 30, constant_values=4095)), head)


def test_a_field_longer_than_a_head_s_is_shortened_about_it():
    head = stripped()
    found = held(np.pad(head, [(70, 70), (0, 0), (0, 120)]))
    lengths = np.array(found.shape) * SPACING
    assert (lengths <= crop.LONG_MM).all()
    assert lengths[0] >= 256
    assert lengths[2] >= 256
    assert found.shape[1] == SHAPE[1]
    assert np.count_nonzero(found) == np.count_nonzero(head)


@pytest.mark.parametrize("gain", [1.0, 0.001])
@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_shoulders_and_noisy_air_are_left_out(gain, offset):
    head = whole()
    field = np.rint(np.abs(np.random.default_rng(1).normal(0, 3, (200, 180, 240))))
    field[60:140, 40:136, 130:222] = head
    x, y, z = np.ogrid[:200, :180, :240]
    field[
        np.broadcast_to((np.abs(x - 100) < 95) & (np.abs(y - 90) < 40) & (z < 100), field.shape)
    ] = 700
    field[np.broadcast_to((x - 100) ** 2 + (y - 90) ** 2 < 20**2, field.shape) & (z < 150)] = 700
    spikes = np.random.default_rng(2).choice(field.size, 500, replace=False)
    field.flat[spikes] = 32767
    box = crop.content((gain * (field + offset)).astype(np.float32), SPACING)
    for part, first, last in zip(box, (65, 53, 141), (135, 123, 211), strict=True):
        assert part.start <= first - 5
        assert part.stop >= last + 5
        assert (part.stop - part.start) * 2 <= crop.LONG_MM
