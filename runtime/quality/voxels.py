"""Are the voxels small enough, and nearly cubes?"""

from __future__ import annotations

from collections.abc import Sequence

from runtime.quality.check import Check
from runtime.scan.frame import THICK_MM, THICK_RATIO, thick


def size(spacing: Sequence[float]) -> Check:
    """The longest side."""
    longest = max(spacing)
    said = thick(spacing) if longest > THICK_MM else None
    return Check(
        "Voxel size",
        longest,
        "mm",
        (0.0, THICK_MM),
        "warn" if said else "ok",
        said or "The voxels are small enough.",
    )


def thickness(spacing: Sequence[float]) -> Check:
    """The longest side over the shortest."""
    ratio = max(spacing) / min(spacing)
    said = thick(spacing) if ratio > THICK_RATIO else None
    return Check(
        "Slice thickness",
        ratio,
        "times the shortest side",
        (1.0, THICK_RATIO),
        "warn" if said else "ok",
        said or "The slices are about as thick as their pixels are wide.",
    )
