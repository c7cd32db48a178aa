"""Does the mask end where brains end? Its outermost voxels are fluid and membranes: dim."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import binary_erosion

from runtime.quality.check import Kind
from runtime.quality.view import View

KIND = Kind(
    name="Edge of the brain mask",
    key="edge",
    unit="of the brain's median",
    normal=(0.2, 0.72),
    accepted=(0.0, 1.0),
    digits=2,
    fine="The mask ends in the dim rim around the brain.",
    low="The mask's rim is darker than fluid ({}): skull or air may be left in it; look at it.",
    high="The mask ends inside bright tissue ({}): cortex may be cut away, or skin and fat left "
    "on; look at it.",
)


def measure(view: View) -> float:
    """The median intensity of the mask's outermost voxels over the brain's median."""
    if not view.sample.size:
        return float("nan")
    rim = view.brain & ~binary_erosion(view.brain)
    return float(np.median(view.image[rim]) / max(float(np.median(view.sample)), 1e-9))
