"""Preparing scans whose strip is said to have failed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmarks.shared.spoiled.tissue import Mask
from runtime.preprocess.pipeline import Preprocessor
from runtime.scan import Scan


class Redrawn(Preprocessor):
    """The stages, with the brain mask of the next scan given instead of found."""

    mask: tuple[str, Mask] | None = None

    def brain(self, scan: Scan) -> tuple[str, Mask]:
        """What kind of head it is, and its brain, as the strip finds them."""
        return super()._brain(scan.array)[:2]

    def _brain(self, array: NDArray[np.float32]) -> tuple[str, Mask, float | None]:
        if self.mask is None:
            return super()._brain(array)
        return *self.mask, 0.0 if self.mask[0] == "stripped" else None
