"""Is there detail of the size of the voxels along every axis? Thick slices and blur have none."""

from __future__ import annotations

import numpy as np

from runtime.quality.check import Kind
from runtime.quality.texture import apart, differences
from runtime.quality.view import View

_DETAIL_MM = 2.0
_MOST = 0.5  # of white matter: a stronger difference is a vessel or a remnant, and counts as this

KIND = Kind(
    name="Sharpness",
    key="sharpness",
    unit="ratio",
    normal=(0.42, 0.85),
    accepted=(0.25, 1.2),
    digits=2,
    fine="The image is as sharp along its dullest axis as its voxels promise.",
    low="The image is blurred along at least one axis ({}): thick slices that were interpolated, "
    "smoothing or motion; name the original scan.",
    high="The image has more detail than tissue has ({}): check noise and interpolation.",
)


def measure(view: View) -> float:
    """Second differences at 2 mm over those at 4 mm (root mean squares), least of the three axes.

    Voxels larger than 2 mm are compared at one and two voxels. Noise raises it to 1, blur over
    d mm makes it fall like (2 mm / d) squared.
    """
    ratios = []
    for axis in range(3):
        spacing = float(view.spacing[axis])
        near = apart(spacing, _DETAIL_MM) * spacing
        fine, rough = (
            _size(differences(view.image, view.brain, view.spacing, axis, distance), view.white)
            for distance in (near, 2.0 * near)
        )
        if not rough > 0.0:
            return float("nan")
        ratios.append(fine / rough)
    return min(ratios)


def _size(values: np.ndarray, white: float) -> float:
    if not values.size or not white > 0.0:
        return 0.0
    limited = np.minimum(values, np.float32(_MOST * white))
    return float(np.sqrt(np.mean(np.square(limited), dtype=np.float64)))
