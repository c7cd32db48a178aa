"""Scan: what the scanner gave, in its own space, with its affine."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass
class Scan:
    """One 3D volume in its closest canonical (RAS+) voxel order.

    Attributes:
        array: float32 (x, y, z), intensities as scaled by the header.
        affine: 4x4, voxel (x, y, z) -> scanner RAS mm.
        path: where it came from; None for an array.
        mask: a brain mask on the same grid when the input came with one (TurboPrep), else None.
        facts: what the header and the read said: "shape", "spacing" (mm), "dtype",
            "orientation" (as stored), "prepared" (True for TurboPrep's files), "warnings".
    """

    array: NDArray[np.float32]
    affine: NDArray[np.float64]
    path: Path | None = None
    mask: NDArray[np.bool_] | None = None
    facts: dict[str, Any] = field(default_factory=dict)
