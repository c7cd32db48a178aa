from __future__ import annotations

import cmath
import math

import numpy as np
from numpy.typing import NDArray

from runtime.preprocess.bias.sharpen import sharpen

_SIZE = 512


def dft(signal: list[complex], sign: int) -> list[complex]:
    """The discrete Fourier transform by its definition; `sign` -1 forward, 1 backward."""
    turns = [cmath.exp(sign * 2j * math.pi * k / _SIZE) for k in range(_SIZE)]
    used = [n for n in range(_SIZE) if signal[n] != 0]
    out = [sum(signal[n] * turns[(k * n) % _SIZE] for n in used) for k in range(_SIZE)]
    return [v / _SIZE for v in out] if sign > 0 else out


def naive(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The sharpening as the paper describes it, one number at a time."""
    low, high = min(values), max(values)
    width = (high - low) / 199
    histogram = [0.0] * 200
    for value in values:
        place = (value - low) / width
        index = min(int(place), 198)
        histogram[index] += 1.0 - (place - index)
        histogram[index + 1] += place - index

    fwhm = 0.15 / width
    kernel: list[complex] = [
        2
        * math.sqrt(math.log(2) / math.pi)
        / fwhm
        * math.exp(-4 * math.log(2) * (min(n, _SIZE - n) / fwhm) ** 2)
        for n in range(_SIZE)
    ]
    blur = dft(kernel, -1)
    measured: list[complex] = [0.0] * _SIZE
    for n in range(200):
        measured[n + 156] = histogram[n]
    deconvolved = [
        m * (f.conjugate() / (f.conjugate() * f + 0.01)).real
        for m, f in zip(dft(measured, -1), blur, strict=True)
    ]
    true = [max(u.real, 0.0) for u in dft(deconvolved, 1)]
    moment: list[complex] = [(low + (n - 156) * width) * u for n, u in enumerate(true)]
    top = dft([m * f for m, f in zip(dft(moment, -1), blur, strict=True)], 1)
    bottom = dft([m * f for m, f in zip(dft(list(true), -1), blur, strict=True)], 1)
    expected = [(top[n + 156] / bottom[n + 156]).real for n in range(200)]

    out = []
    for value in values:
        place = (value - low) / width
        index = min(int(place), 198)
        out.append(expected[index] + (expected[index + 1] - expected[index]) * (place - index))
    return np.array(out)


def test_equals_the_definition_written_out() -> None:
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(m, 0.12, 400) for m in (4.0, 4.6, 5.0)])
    np.testing.assert_allclose(sharpen(values), naive(values), atol=1e-6)


def test_pulls_blurred_classes_together() -> None:
    rng = np.random.default_rng(1)
    values = np.concatenate([rng.normal(m, 0.06, 3000) for m in (4.0, 4.5, 5.0)])
    sharpened = sharpen(values)
    for i in range(3):
        part = slice(3000 * i, 3000 * (i + 1))
        assert sharpened[part].std() < 0.6 * values[part].std()
        assert abs(sharpened[part].mean() - values[part].mean()) < 0.02


def test_values_that_are_all_alike_stay() -> None:
    values = np.full(50, 4.2)
    np.testing.assert_array_equal(sharpen(values), values)


def test_one_far_outlier_stays_finite_and_within_the_range() -> None:
    values = np.append(np.random.default_rng(2).normal(5.0, 0.05, 5000), -6.0)
    sharpened = sharpen(values)
    assert np.isfinite(sharpened).all()
    assert sharpened.min() >= values.min() - 1.0
    assert sharpened.max() <= values.max() + 1.0
