"""N4's histogram sharpening: what a voxel's log intensity would be without the bias field.

A bias field blurs the histogram of log intensities. The blur is taken to be Gaussian and undone
by a Wiener filter; each voxel then gets the expected true value given its measured one.

Source: Sled, Zijdenbos, Evans 1998, doi:10.1109/42.668698 (section II-C), with the settings of
Tustison et al. 2010, doi:10.1109/TMI.2010.2046908.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BINS = 200
FWHM = 0.15  # of the blur, natural-log intensity
WIENER_NOISE = 0.01
_PADDED = 512  # over twice the bins, so that the convolutions do not wrap around
_SUPPORT = 1e-10  # of the largest density; below it a ratio of densities is rounding noise


def sharpen(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The expected unblurred value of each value.

    Args:
        values: (n,), log intensities.

    Returns:
        (n,), log intensities; the values themselves where they do not differ from one another.
    """
    low, high = values.min(), values.max()
    width = (high - low) / (BINS - 1)
    if not width > 0.0:
        return values
    scaled = (values - low) / width
    index = np.minimum(scaled.astype(np.intp), BINS - 2)
    offset = scaled - index
    # Each value is shared between its two nearest bins (a triangular Parzen window).
    counts: NDArray[np.float64] = np.bincount(index, 1.0 - offset, BINS).astype(np.float64)
    counts[1:] += np.bincount(index, offset, BINS)[:-1]
    expected = low + width * _expected_bin(counts, FWHM / width)
    return np.asarray(expected[index] + np.diff(expected)[index] * offset)


def _expected_bin(counts: NDArray[np.float64], fwhm: float) -> NDArray[np.float64]:
    """The expected true bin of each measured bin, (BINS,); `fwhm` in bins."""
    lag = np.minimum(np.arange(_PADDED), _PADDED - np.arange(_PADDED))
    gaussian = np.exp(-4.0 * np.log(2.0) * (lag / fwhm) ** 2)
    gaussian *= 2.0 * np.sqrt(np.log(2.0) / np.pi) / fwhm
    blur = np.fft.rfft(gaussian).real  # a symmetric kernel has a real spectrum
    wiener = blur / (blur**2 + WIENER_NOISE)

    start = (_PADDED - BINS) // 2
    padded = np.zeros(_PADDED)
    padded[start : start + BINS] = counts
    true = np.maximum(np.fft.irfft(np.fft.rfft(padded) * wiener, _PADDED), 0.0)

    bins = np.arange(_PADDED) - float(start)
    moments = np.fft.irfft(np.fft.rfft(np.stack([true, bins * true])) * blur, _PADDED)
    density, weighted = moments[:, start : start + BINS]
    expected = np.arange(BINS, dtype=np.float64)
    known = density > _SUPPORT * density.max()
    expected[known] = weighted[known] / density[known]
    return expected
