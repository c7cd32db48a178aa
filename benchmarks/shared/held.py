"""A prepared scan in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class HeldScan:
    """A `training.cohort.prepared.PreparedScan`.

    Attributes:
        volume: float32 (z, y, x).
        mask: bool, same shape.
        facts: with a "digest" of its own.
    """

    volume: NDArray[np.float32]
    mask: NDArray[np.bool_]
    facts: dict[str, Any]
