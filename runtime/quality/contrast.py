"""Does the prepared brain look T1-weighted? One number, from where the template's tissues lie."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.ndimage import gaussian_filter

from runtime.quality.check import Check, Kind, Range, numbers
from runtime.quality.fitted import FEW, Fitted

_INSIDE = 0.9  # of a coarse voxel must be brain, in the scan and in the template
_TAILS = (0.3, 0.7)  # the template's dim voxels (CSF, cortex) and its bright ones (white matter)

KIND = Kind(
    name="T1 contrast",
    key="contrast",
    unit="SD",
    normal=(1.1, 2.5),
    accepted=(0.7, 3.0),
    digits=2,
    fine="White matter is brighter than grey matter, as in a T1-weighted scan.",
    low="The contrast of white and grey matter is unusual ({}): check the sequence, that the whole "
    "brain is in the image, noise and motion.",
    high="The contrast of white and grey matter is unusual ({}): check that this is a scan and no "
    "map of labels.",
)

FOREIGN = 0.3
"""T2-weighted scans, CT, EPI and infants lie below."""

_FOREIGN = (
    "White matter is not brighter than grey matter (contrast {}): this looks like another kind of "
    "scan (T2-weighted, CT, functional, an infant's); name an adult's T1-weighted one."
)


def measure(fitted: Fitted | None) -> float:
    """How much brighter white matter is than grey matter and CSF, in standard deviations.

    The medians of the brain's intensity where the template is bright and where it is dim, apart by
    so many standard deviations of all; 0 if next to no brain is shared, or the brain has one
    intensity only.
    """
    if fitted is None:
        return 0.0
    shared = (fitted.inside > _INSIDE) & (fitted.brain > _INSIDE)
    if np.count_nonzero(shared) < FEW:
        return 0.0
    weight = gaussian_filter(shared.astype(np.float32), 1.0)[shared]
    scan = gaussian_filter(np.where(shared, fitted.image, 0), 1.0)[shared] / weight
    tissue = gaussian_filter(np.where(shared, fitted.template, 0), 1.0)[shared] / weight
    low, high = np.quantile(tissue, _TAILS)
    spread = float(scan.std())
    if not spread > 1e-4 * float(np.abs(scan).max()):
        return 0.0
    return float(np.median(scan[tissue > high]) - np.median(scan[tissue < low])) / spread


def check(value: float, normal: Range | None = None) -> Check:
    """Whether it is T1-weighted."""
    found = KIND.judge(value, normal)
    if value >= FOREIGN:
        return found
    said = _FOREIGN.format(numbers(value, found.range, KIND.digits))
    return replace(found, verdict="refuse", sentence=said)
