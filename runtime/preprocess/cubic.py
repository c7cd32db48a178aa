"""A scan as cubic B-spline coefficients: as sharp at every place, whatever its voxels.

Trilinear interpolation, the reference chain's, blurs by an amount that depends on where a point
lies between the voxels and on how large they are: the same head on another grid is another
picture. A cubic spline passes through the voxels and hardly blurs. What trilinear reading of
1 mm voxels blurs on average, a variance of 1/6 mm^2 along each axis, is added to it, so that the
network sees what the reference chain makes of such scans, of every scan.

Source: Unser, Aldroubi, Eden 1993, doi:10.1109/78.193220 (the recursive prefilter, SciPy's).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

ORDER = 3

_BLUR_MM2 = 1.0 / 6.0
_AT_ONCE = 0.25  # voxels^2: three taps that blur by more would damp the finest detail unevenly


def coefficients(array: NDArray[np.float32], spacing: NDArray[np.float64]) -> NDArray[np.float32]:
    """The coefficients, for `scipy.ndimage` with `order=ORDER` and `prefilter=False`.

    Args:
        array: (x, y, z), finite.
        spacing: mm per axis.

    Returns:
        float32, same shape. The scan goes on beyond its edge as it ends there.
    """
    found = np.asarray(array, dtype=np.float32)
    for axis in range(3):
        variance = _BLUR_MM2 / float(spacing[axis]) ** 2
        passes = math.ceil(variance / _AT_ONCE)
        side = variance / passes / 2.0
        taps = np.array([side, 1.0 - 2.0 * side, side])
        for _ in range(passes):
            found = ndimage.correlate1d(found, taps, axis=axis, mode="nearest")
        found = ndimage.spline_filter1d(found, ORDER, axis=axis, output=np.float32, mode="nearest")
    return found
