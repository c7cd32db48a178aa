"""Does the field of view end inside the brain? A brain tapers at its ends; a cut one ends flat."""

from __future__ import annotations

import numpy as np

from runtime.quality.check import Kind
from runtime.quality.view import View

_DEPTH_MM = 1.5  # a mask's last voxels are ragged

KIND = Kind(
    name="Field of view",
    key="flat_end",
    unit="% of the largest slice",
    normal=(0.0, 25.0),
    accepted=(0.0, 45.0),
    digits=0,
    fine="The brain tapers on all sides, as a whole one does.",
    low="",
    high="The brain ends flat on one side ({}): a part of it was cut off; check that the scan "
    "covers the whole head.",
)


def measure(view: View) -> float:
    """The slice 1.5 mm below the brain's end, in percent of its largest one; worst of six ends."""
    worst = 0.0
    for axis in range(3):
        area = view.brain.sum(axis=tuple(a for a in range(3) if a != axis), dtype=np.int64)
        filled = np.flatnonzero(area)
        if not filled.size:
            return float("nan")
        depth = int(np.ceil(_DEPTH_MM / view.spacing[axis]))
        ends = (min(filled[0] + depth, filled[-1]), max(filled[-1] - depth, filled[0]))
        worst = max(worst, *(100.0 * float(area[end]) / float(area.max()) for end in ends))
    return worst
