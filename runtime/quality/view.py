"""View: what the checks look at, once the scan is prepared."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

_BRIGHT = 0.8  # the brain's quantile that white matter reaches


@dataclass(frozen=True, eq=False)
class View:
    """A brain in its own voxels.

    Attributes:
        image: float32 (x, y, z), bias-corrected, the brain's box.
        brain: bool, same shape: the mask that was found.
        spacing: mm per axis.
    """

    image: NDArray[np.float32]
    brain: NDArray[np.bool_]
    spacing: NDArray[np.float64]

    @cached_property
    def sample(self) -> NDArray[np.float32]:
        """(n,): the intensities of every other voxel of the brain along each axis."""
        every = (slice(None, None, 2),) * 3
        return self.image[every][self.brain[every]]

    @cached_property
    def white(self) -> float:
        """White matter's intensity, roughly; what others are compared with. 0 of an empty brain."""
        return float(np.quantile(self.sample, _BRIGHT)) if self.sample.size else 0.0
