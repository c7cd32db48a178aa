"""Does the brain touch the image's border?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from runtime.quality.check import Check, Range, judge

NAME, KEY, UNIT = "Brain at the image's border", "mask_at_border", "%"

NORMAL: Range = (0.0, 0.2)
"""Percent of the brain on the image's faces: 0.2 is about 15 cm2 of it cut off."""


def measure(mask: NDArray[np.bool_]) -> float:
    """The fraction of the mask's voxels that lie on the outermost faces of the array."""
    inner = mask[1:-1, 1:-1, 1:-1].sum(dtype=np.int64)
    total = mask.sum(dtype=np.int64)
    return float((total - inner) / max(total, 1))


def check(fraction: float) -> Check:
    """Whether it does; that alone refuses nothing."""
    value = 100.0 * fraction
    verdict = judge(value, NORMAL)
    return Check(
        NAME,
        value,
        UNIT,
        NORMAL,
        verdict,
        "The whole brain is in the image."
        if verdict == "ok"
        else f"{value:.2g} % of the brain lies on the image's border: part of it may be cut "
        "off; check that the scan covers the whole head.",
    )
