"""Has the mask a brain's shape? Compared with the template's, size and place aside."""

from __future__ import annotations

import numpy as np

from runtime.quality.check import Kind
from runtime.quality.fitted import Fitted

KIND = Kind(
    name="Brain shape",
    key="shape",
    unit="Dice",
    normal=(0.905, 1.0),
    accepted=(0.85, 1.0),
    digits=3,
    fine="The mask has the shape of a brain.",
    low="The mask has not the shape of a whole brain ({}): a part is missing, or skull and neck "
    "are left on; look at it.",
    high="",
)


def measure(fitted: Fitted | None) -> float:
    """Dice coefficient of the mask and of the template's, moved and scaled to it; 0 without one."""
    if fitted is None:
        return 0.0
    both = np.minimum(fitted.inside, fitted.brain).sum(dtype=np.float64)
    total = fitted.inside.sum(dtype=np.float64) + fitted.brain.sum(dtype=np.float64)
    return float(2.0 * both / max(total, 1e-9))
