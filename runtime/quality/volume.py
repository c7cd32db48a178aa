"""Is the brain as large as an adult's?"""

from __future__ import annotations

from runtime.quality.check import Kind

KIND = Kind(
    name="Brain volume",
    key="brain_volume_ml",
    unit="mL",
    normal=(900.0, 2000.0),
    accepted=(600.0, 2800.0),
    digits=0,
    fine="The brain volume is usual for an adult.",
    low="The brain volume is unusual for an adult ({}): check the mask, and that this is no child.",
    high="The brain volume is unusual for an adult ({}): check the mask, and that the voxel sizes "
    "are in millimetres.",
)
"""Adult brains with their sulcal CSF; infants lie below, unstripped heads above."""
