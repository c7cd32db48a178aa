"""Has every slice its signal? Slices are lost in transfer, and zeros are left in their place."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import percentile_filter

from runtime.quality.check import Kind
from runtime.quality.view import View

_AROUND_MM = 24.0
_USUAL = 70.0  # percentile of the slices around: up to two in three of them may be lost
_LARGE = 0.25  # of the largest slice's brain: smaller ones differ by their anatomy

KIND = Kind(
    name="Signal of the slices",
    key="slices",
    unit="% off the slices around",
    normal=(0.0, 40.0),
    accepted=(0.0, 60.0),
    digits=0,
    fine="Every slice of the brain is about as bright as those around it.",
    low="",
    high="At least one slice of the brain is far darker or brighter than those around it ({}): "
    "slices were lost or damaged; fetch the scan again from where it came from.",
)


def measure(view: View) -> float:
    """The largest difference of a slice's mean brain to that of its neighbours, in percent of it.

    Of all slices on each axis; the neighbours are those within 12 mm.
    """
    areas = _sums(view.brain.astype(np.float32))
    lights = _sums(np.where(view.brain, view.image, np.float32(0.0)))
    worst = 0.0
    for axis, (area, light) in enumerate(zip(areas, lights, strict=True)):
        large = area >= max(_LARGE * float(area.max()), 1.0)
        mean = light[large] / area[large]
        window = max(5, 2 * round(_AROUND_MM / 2.0 / float(view.spacing[axis])) + 1)
        usual = percentile_filter(mean, _USUAL, window, mode="nearest")
        if not mean.size or not (usual > 0.0).all():
            return float("nan")
        worst = max(worst, 100.0 * float(np.abs(mean / usual - 1.0).max()))
    return worst


def _sums(array: NDArray[np.float32]) -> list[NDArray[np.float64]]:
    """Of every slice along x, y and z: read twice, and not once an axis against the memory."""
    lines = array.sum(axis=2).astype(np.float64)
    return [lines.sum(axis=1), lines.sum(axis=0), array.sum(axis=0).sum(axis=0, dtype=np.float64)]
