"""Does the head lie as its header says? The registration finds the brain in any of the 24 poses.

The angle cannot see a mirrored head: brains are nearly symmetric. See docs/checks.md.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from runtime.quality.check import Check, Kind, Range
from runtime.transform import degrees

KIND = Kind(
    name="Orientation",
    key="tilt",
    unit="°",
    normal=(0.0, 35.0),
    accepted=(0.0, 50.0),
    digits=0,
    fine="The head lies as its header says; left and right cannot be checked.",
    low="",
    high="The head lies turned against what its header says ({}): its axes are swapped or "
    "reversed, so left and right cannot be trusted; convert it again from its DICOM files.",
    ratio=False,
)


def measure(matrix: NDArray[np.float64]) -> float:
    """The angle of the rotation from template to scan, degrees.

    Args:
        matrix: 4x4, template RAS mm -> scan RAS mm, rigid.
    """
    return degrees(matrix[:3, :3])


def check(value: float, problem: str, normal: Range | None = None) -> Check:
    """Whether it does; unknown where the registration failed.

    Args:
        value: of `measure`.
        problem: `Rigid.reason`: why the registration cannot be trusted; empty if it can.
        normal: the bundle's own range.
    """
    if problem:
        said = "The orientation cannot be told, for the registration failed."
        return Check(KIND.name, float("nan"), KIND.unit, normal or KIND.normal, "warn", said)
    return KIND.judge(value, normal)
