"""Preparing scans whose strip is said to have failed."""

from __future__ import annotations

from benchmarks.shared.spoiled.tissue import Mask
from runtime.preprocess.pipeline import Preprocessor
from runtime.scan import Scan


class Redrawn(Preprocessor):
    """The stages, with the brain mask of the next scan given instead of found."""

    mask: tuple[str, Mask] | None = None

    def brain(self, scan: Scan) -> tuple[str, Mask]:
        """What kind of head it is, and its brain, as the strip finds them."""
        return super()._brain(scan)

    def _brain(self, scan: Scan) -> tuple[str, Mask]:
        return self.mask or self.brain(scan)
