"""WhiteStripe: intensities as z-scores of normal-appearing white matter.

Only for `normalized.nii.gz`: it is a linear map of intensities, which the network's own masked
z-score removes again. Source: Shinohara et al. 2014, doi:10.1016/j.nicl.2014.08.008.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from fmtool.errors import PreprocessingError

_BINS = 512
_SMOOTH = 8.0  # bins; wide enough that noise makes no peak, narrow enough to part GM from WM
_WIDTH = 0.05  # the stripe: this much of the brain's voxels on either side of the white-matter peak
_LEAST_PEAK = 0.2  # a peak lower than this fraction of the highest is the histogram's noise


def white_stripe(volume: NDArray[np.float32], mask: NDArray[np.bool_]) -> tuple[float, float]:
    """The mean and the standard deviation of the white stripe, in the volume's unit.

    Args:
        volume: T1-weighted intensities, any shape.
        mask: the brain, same shape.

    Raises:
        PreprocessingError: if the brain has no contrast.
    """
    brain = volume[mask]
    low, high = np.quantile(brain, [0.001, 0.999]) if brain.size else (0.0, 0.0)
    if not high > low:
        raise PreprocessingError("the brain has one intensity only: nothing to normalise")
    counts, edges = np.histogram(brain, bins=_BINS, range=(low, high))
    density = gaussian_filter1d(counts.astype(np.float64), _SMOOTH, mode="constant")
    inner = density[1:-1]
    peaks = 1 + np.flatnonzero((inner >= density[:-2]) & (inner > density[2:]))
    peaks = peaks[density[peaks] >= _LEAST_PEAK * density.max()]
    peak = peaks[-1] if peaks.size else int(density.argmax())  # WM is the brightest tissue in T1w
    mode = 0.5 * (edges[peak] + edges[peak + 1])
    quantile = float((brain < mode).mean())
    left, right = np.quantile(brain, [max(quantile - _WIDTH, 0.0), min(quantile + _WIDTH, 1.0)])
    stripe = brain[(brain >= left) & (brain <= right)]
    mean, deviation = float(stripe.mean()), float(stripe.std())
    if not deviation > 0.0:
        raise PreprocessingError("the white matter has one intensity only: nothing to normalise")
    return mean, deviation
