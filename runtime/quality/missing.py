"""How much of the brain was cut away before the scan came, by a defacing or another tool's strip?

A whole head has skull and skin between its brain and what was cleared. Where the template's brain,
in its pose and as wide as this one, lies on exact background, a part was cut away. A stripped head
ends at its background everywhere; there the networks' own mask tells what the strip left out. Good
strips leave out as much where sulci are deep, but end in dim fluid, not in bright tissue.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from fmtool import space
from runtime.quality import fitted
from runtime.quality.check import Check, Range, judge
from runtime.quality.fitted import Fitted

NAME, KEY, UNIT = "Missing brain", "missing", "% of the brain"

_CUT: Range = (0.0, 3.0)
_CUT_ACCEPTED: Range = (0.0, 8.5)
# 19 whole heads have 0.0 to 0.1; an oblique plane through the frontal lobe that takes 5, 11 and
# 15 % of two brains is measured as 4 and 5, 9 and 12, 13 and 15 %.
_BRIGHT_RIM = 0.59
# Of the brain's median: 28 good strips end at 0.36 to 0.54, one without fluid at 0.64.
_BRAIN = 0.9  # of a coarse voxel of the template
_WIDTH = 2  # the crop's axis from ear to ear, which no defacing shortens


def measure(
    head: NDArray[np.float32],
    affine: NDArray[np.float64],
    alike: Fitted | None,
    matrix: NDArray[np.float64],
) -> float:
    """The share of the template's brain that lies where a whole head was cleared, in percent.

    Args:
        head: (x, y, z), its background zero.
        affine: 4x4, voxel -> scan RAS mm.
        alike: the template laid on the prepared brain; None of next to no brain.
        matrix: 4x4, template RAS mm -> scan RAS mm, rigid.
    """
    if alike is None:
        return math.nan
    centre, extent = fitted.moments(alike.unmoved)
    own = fitted.moments(alike.inside)[1]
    place = np.argwhere(alike.unmoved > _BRAIN)
    place = (place - centre) * (own[_WIDTH] / extent[_WIDTH]) + centre
    place = fitted.STEP * place + (fitted.STEP - 1) / 2.0  # from coarse voxels to the crop's
    to_voxel = np.linalg.inv(affine) @ matrix @ space.crop_affine()
    at = np.rint(place @ to_voxel[:3, :3].T + to_voxel[:3, 3]).astype(np.intp)
    at = at[((at > 0) & (at < np.array(head.shape) - 1)).all(axis=1)]
    cleared = head[tuple(at.T)] == 0.0
    for step in np.eye(3, dtype=np.intp):  # a neighbour on each axis too: a lost slice is no cut
        cleared &= (head[tuple((at - step).T)] == 0.0) | (head[tuple((at + step).T)] == 0.0)
    return 100.0 * np.count_nonzero(cleared) / len(place)


def check(percent: float, head: str, rim: float) -> Check:
    """Whether too much is missing.

    Args:
        percent: of `measure`; of a stripped head, the networks' mask's share without signal.
        head: "whole", "stripped" or "prepared".
        rim: of `edge.measure`.
    """
    ok = "No part of the brain was cut away."
    if head == "prepared" or not math.isfinite(percent):
        said = "Not judged: nothing is known of the head around the brain."
        return Check(NAME, math.nan, UNIT, _CUT, "ok", said)
    if head == "stripped":
        bare = rim > _BRIGHT_RIM
        said = (
            "The skull strip that the head came with ends in bright tissue and leaves out at least "
            f"{percent:.0f}% of the brain, its fluid or cortex; name the whole head."
        )
        expected = (0.0, 100.0)
        return Check(NAME, percent, UNIT, expected, "warn" if bare else "ok", said if bare else ok)
    verdict = judge(percent, _CUT, _CUT_ACCEPTED)
    said = (
        f"About {percent:.0f}% of the brain was cut away, as by a defacing that went too deep; "
        "name the scan before it was defaced."
    )
    return Check(NAME, percent, UNIT, _CUT, verdict, ok if verdict == "ok" else said)
