"""How noisy is the brain? Second differences of neighbouring voxels, where little else varies."""

from __future__ import annotations

import numpy as np

from runtime.quality.check import Kind
from runtime.quality.texture import differences
from runtime.quality.view import View

_QUIET = 0.25  # the quantile of the differences that lies in even tissue
_OF_NORMAL = 0.3186  # that quantile of |x|, x normal with deviation 1

KIND = Kind(
    name="Noise",
    key="noise",
    unit="% of white matter",
    normal=(0.8, 9.0),
    accepted=(0.0, 15.0),
    digits=1,
    fine="The noise is that of a usual scan.",
    low="There is next to no noise ({}): this looks like a template, an average, a smoothed or a "
    "synthetic volume; name the original scan.",
    high="The noise is high ({}): check the scan, and that this is no map of something else.",
)


def measure(view: View) -> float:
    """The noise's standard deviation, in percent of white matter's intensity.

    Along each axis from the differences' lower quartile, which edges hardly touch; the mean over
    the axes. Interpolation and a scanner's own smoothing lower it.
    """
    found = []
    for axis in range(3):
        values = differences(view.image, view.brain, view.spacing, axis, 0.0)
        if values.size:
            found.append(float(np.quantile(values, _QUIET)) / _OF_NORMAL)
    return 100.0 * float(np.mean(found)) / view.white if found and view.white > 0 else float("nan")
