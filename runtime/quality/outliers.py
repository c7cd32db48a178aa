"""Intensities that no brain has: hot spots, remnants of skin, voids of metal."""

from __future__ import annotations

from runtime.quality.check import Kind
from runtime.quality.view import View

_VOID, _HOT = 0.08, 1.7  # of white matter

KIND = Kind(
    name="Intensity outliers",
    key="outliers",
    unit="% of the brain",
    normal=(0.0, 5.0),
    accepted=(0.0, 15.0),
    digits=1,
    fine="Next to no voxel of the brain is far too bright or too dark.",
    low="",
    high="Part of the brain is far too bright or without signal ({}): check for metal, a coil's "
    "hot spot, and what the mask encloses.",
)


def measure(view: View) -> float:
    """The brain's share below 8 % or above 170 % of white matter's intensity, in percent."""
    if not view.sample.size or not view.white > 0.0:
        return 100.0
    odd = (view.sample < _VOID * view.white) | (view.sample > _HOT * view.white)
    return 100.0 * float(odd.mean())
