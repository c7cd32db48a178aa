"""How a brain's intensities vary over a few millimetres: noise, sharpness and ripples show there.

The building block is the second difference x[i] - (x[i-k] + x[i+k]) / 2, which ignores slopes, such
as a bias field's. White noise of standard deviation s gives it s * sqrt(1.5) at any distance k.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_LINES_MM = 2.0  # between the lines that are looked at: enough of them, and far quicker


def differences(
    image: NDArray[np.float32],
    brain: NDArray[np.bool_],
    spacing: NDArray[np.float64],
    axis: int,
    distance_mm: float,
) -> NDArray[np.float32]:
    """Second differences along an axis where all three voxels are brain, as noise would be.

    Args:
        image: (x, y, z).
        brain: bool, same shape.
        spacing: mm per axis.
        axis: 0 to 2.
        distance_mm: between neighbours; the nearest whole number of voxels, at least one.

    Returns:
        (n,): absolute, divided by sqrt(1.5).
    """
    step = np.maximum(1, np.rint(_LINES_MM / spacing)).astype(int)
    lines = [slice(None, None, int(s)) for s in step]
    lines[axis] = slice(None)
    values = np.moveaxis(image[tuple(lines)], axis, 0)
    inside = np.moveaxis(brain[tuple(lines)], axis, 0)
    k = apart(float(spacing[axis]), distance_mm)
    if values.shape[0] <= 2 * k:
        return np.zeros(0, dtype=np.float32)
    whole = inside[k:-k] & inside[: -2 * k] & inside[2 * k :]
    found = values[k:-k][whole] - np.float32(0.5) * (
        values[: -2 * k][whole] + values[2 * k :][whole]
    )
    return np.asarray(np.abs(found) / np.float32(np.sqrt(1.5)), dtype=np.float32)


def apart(spacing: float, distance_mm: float) -> int:
    """The voxels that lie nearest to `distance_mm` apart; at least one."""
    return max(1, round(distance_mm / spacing))
