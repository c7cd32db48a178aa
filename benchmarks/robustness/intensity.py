"""The same head by another receiver or another window: noise, bias field, gamma."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

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
        generator: of the draws.

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
        head: the head.
        brain: bool (x, y, z), inside which the field reaches from 1 - percent / 200 to
            1 + percent / 200, as BrainWeb counts it; outside it is kept within twice that.
        percent: 40 gives 0.8 to 1.2.
        generator: of the coefficients.
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
