"""Ghosts: k-space lines weaker and stronger in turns, as pulsation and motion leave them."""

from __future__ import annotations

import numpy as np

from benchmarks.robustness.head import PerturbedHead


def ghosted(head: PerturbedHead, axis: int, percent: float, period: int) -> PerturbedHead:
    """Phase-encoded lines modulated by a cosine: line j times 1 + 2 g cos(2 pi j / period).

    By the shift theorem the image gains two copies of itself, each g times as bright, displaced by
    plus and minus 1 / period of the field of view along the phase-encoded axis, around which they
    wrap. The scanner shows the magnitude.

    Args:
        head: the head.
        axis: the phase-encoded one, of the array.
        percent: 100 g.
        period: in lines, above 2.
    """
    size = head.array.shape[axis]
    extra = -size % period  # so that a ghost is displaced by whole voxels
    padding = [(0, extra if a == axis else 0) for a in range(3)]
    lines = np.fft.fft(np.pad(head.array, padding), axis=axis)
    wave = 1.0 + percent / 50.0 * np.cos(2.0 * np.pi * np.arange(size + extra) / period)
    lines *= wave.reshape([-1 if a == axis else 1 for a in range(3)])
    image = np.abs(np.fft.ifft(lines, axis=axis))
    return head.with_values(np.take(image, np.arange(size), axis=axis))
