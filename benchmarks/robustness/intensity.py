"""The same head by another receiver, in another window or with less of it.

Noise, bias field, gamma; ghosts, k-space lines weaker and stronger in turns, as pulsation and
motion leave them; the neck outside the field of view, or the face removed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.robustness.head import PerturbedHead

Brain = NDArray[np.bool_]


def noisy(
    head: PerturbedHead, brain: Brain, snr: float, generator: np.random.Generator
) -> PerturbedHead:
    """Rician noise, as a magnitude image has it: a normal draw on each of two channels.

    Args:
        head: taken as free of noise.
        brain: bool (x, y, z), whose mean signal is `snr` times each channel's deviation.
        snr: signal to noise.

    Source: Gudbjartsson and Patz 1995, doi:10.1002/mrm.1910340618.
    """
    deviation = np.float32(head.array[brain].mean() / snr)
    shape = head.array.shape
    real = head.array + deviation * generator.standard_normal(shape, dtype=np.float32)
    imaginary = deviation * generator.standard_normal(shape, dtype=np.float32)
    return head.with_values(np.hypot(real, imaginary))


def shaded(
    head: PerturbedHead, brain: Brain, percent: float, generator: np.random.Generator
) -> PerturbedHead:
    """A smooth multiplicative field: a random polynomial of second degree in the place (RAS mm).

    Args:
        brain: bool (x, y, z), inside which the field reaches from 1 - percent / 200 to
            1 + percent / 200, as BrainWeb counts it; outside it is kept within twice that.
        percent: 40 gives 0.8 to 1.2.
    """
    field = _polynomial(head, generator)
    low, high = field[brain].min(), field[brain].max()
    reach = percent / 100.0
    scaled = 1.0 + reach * ((field - low) / (high - low) - 0.5)
    return head.with_values(head.array * np.clip(scaled, 1.0 - reach, 1.0 + reach))


def curved(head: PerturbedHead, brain: Brain, gamma: float) -> PerturbedHead:
    """Intensities to the power of `gamma`; the brain's 99th percentile stays as it is."""
    anchor = np.float32(np.percentile(head.array[brain], 99.0))
    return head.with_values(anchor * (head.array / anchor) ** np.float32(gamma))


def _polynomial(head: PerturbedHead, generator: np.random.Generator) -> NDArray[np.float32]:
    """Random coefficients for 1, x, y, z and their products, the places scaled to about 1."""
    axes = np.ix_(*(np.arange(n, dtype=np.float32) for n in head.array.shape))
    middle = (np.array(head.array.shape) - 1) / 2.0
    turn = head.affine[:3, :3] / 100.0
    places = [
        sum(np.float32(turn[row, a]) * (axes[a] - np.float32(middle[a])) for a in range(3))
        for row in range(3)
    ]
    field = np.zeros(head.array.shape, dtype=np.float32)
    for i, place in enumerate(places):
        field += np.float32(generator.normal()) * place
        for other in places[i:]:
            field += np.float32(generator.normal()) * place * other
    return field


def ghosted(head: PerturbedHead, axis: int, percent: float, period: int) -> PerturbedHead:
    """Phase-encoded lines modulated by a cosine: line j times 1 + 2 g cos(2 pi j / period).

    By the shift theorem the image gains two copies of itself, each g times as bright, displaced by
    plus and minus 1 / period of the field of view along the phase-encoded axis, around which they
    wrap. The scanner shows the magnitude.

    Args:
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


NECK_MM = 5.0
"""What stays below the brain's lowest voxel."""

FRONT_MM, BROW, CLEAR_MM = 15.0, 0.3, 8.0
"""A face begins so far in front of the brain's centre, and ends where it rises above that centre by
this share of the way forward; so near the brain nothing is removed."""


def beheaded(head: PerturbedHead, brain: NDArray[np.bool_]) -> PerturbedHead:
    """The field of view ends `NECK_MM` below the brain, along the array's third axis."""
    lowest = int(np.flatnonzero(brain.any(axis=(0, 1)))[0])
    first = max(lowest - round(NECK_MM / float(head.spacing[2])), 0)
    affine = head.affine.copy()
    affine[:3, 3] += affine[:3, 2] * first
    outline = None if head.outline is None else head.outline[:, :, first:]
    return PerturbedHead(np.ascontiguousarray(head.array[:, :, first:]), affine, outline)


def defaced(head: PerturbedHead, brain: NDArray[np.bool_]) -> PerturbedHead:
    """Zero in front of and below the brain, from the brow down, as defacing tools leave it."""
    index = np.ix_(*(np.arange(n) for n in head.array.shape))
    centre = np.array([c.mean() for c in np.nonzero(brain)])
    forward, up = (
        sum(head.affine[row, a] * (index[a] - centre[a]) for a in range(3)) for row in (1, 2)
    )
    far = ndimage.distance_transform_edt(~brain, sampling=head.spacing) > CLEAR_MM
    face = far & (forward > FRONT_MM) & (up < BROW * forward)
    return head.with_values(np.where(face, np.float32(0.0), head.array))
