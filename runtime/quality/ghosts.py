"""Is there more signal in the air beside the head along one axis? Motion throws ghosts there.

Only a whole head with its air shows it: in a stripped, defaced or cut-out one nothing is left to
look at, and motion that only blurs goes unseen.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from runtime.grid import block_means
from runtime.quality.check import Check, Kind, Range

_STEP_MM = 4.0
_HEAD = 0.2  # of white matter: brighter is head
_AWAY = 3  # coarse voxels: farther from the head is air
_CLEARED = 0.02  # of an axis' air
_FEW = 200  # coarse voxels of air, 13 mL

KIND = Kind(
    name="Motion ghosts",
    key="ghosts",
    unit="% of white matter",
    normal=(0.0, 1.1),
    accepted=(0.0, 100.0),
    digits=2,
    fine="The air beside the head is as dark along every axis.",
    low="",
    high="There is signal in the air beside the head along one axis ({}): ghosts of motion or of "
    "the pulse; look for ripples in the brain.",
)


def measure(
    head: NDArray[np.float32], brain: NDArray[np.bool_], affine: NDArray[np.float64]
) -> float:
    """The brightest axis' air over the darkest's, their difference in percent of white matter.

    An axis' air is what lies beyond the head on the lines along it that pass through the brain. One
    of which a part was cleared, with a face, has less noise than the others without any motion.
    What is darker than nothing or as bright as a head is a spike, and counts as its bound.

    Args:
        head: (x, y, z), the scan as it was read.
        brain: bool, same shape.
        affine: 4x4, voxel -> scan RAS mm.

    Returns:
        NaN where fewer than two axes have air, or the air holds one value.
    """
    every = (slice(None, None, 2),) * 3
    inside = head[every][brain[every]]
    if not inside.size:
        return math.nan
    white = float(np.quantile(inside, 0.8))
    factors = np.maximum(1, np.rint(_STEP_MM / np.linalg.norm(affine[:3, :3], axis=0))).astype(int)
    coarse = block_means(head, factors)
    core = block_means(brain, factors) > 0.5
    air = _air((coarse > _HEAD * white) | core, core)
    levels = []
    for axis in range(3):
        beside = air & core.any(axis=axis, keepdims=True)
        cleared = np.count_nonzero(coarse[beside] == 0.0) > _CLEARED * np.count_nonzero(beside)
        if np.count_nonzero(beside) >= _FEW and not cleared:
            levels.append(float(np.clip(coarse[beside], 0.0, _HEAD * white).mean(dtype=np.float64)))
    if len(levels) < 2 or not white > 0.0 or float(np.ptp(coarse[air])) == 0.0:
        return math.nan
    return 100.0 * (max(levels) - min(levels)) / white


def check(value: float, normal: Range | None = None) -> Check:
    """Whether there is; nothing is wrong with a head without air."""
    if math.isfinite(value):
        return KIND.judge(value, normal)
    said = "There is no air around the head to look for ghosts in."
    return Check(KIND.name, value, KIND.unit, normal or KIND.normal, "ok", said)


def _air(bright: NDArray[np.bool_], core: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """What lies well away from the head that holds the brain, and not on the array's faces."""
    padded = np.pad(bright, _AWAY + 1)
    closed = ndimage.binary_closing(padded, iterations=_AWAY)
    labels, _ = ndimage.label(closed)
    sizes = np.bincount(labels[np.pad(core, _AWAY + 1)], minlength=2)
    sizes[0] = 0
    near = ndimage.binary_dilation(labels == sizes.argmax(), iterations=_AWAY)
    inner = slice(_AWAY + 1, -_AWAY - 1)
    air = ~near[inner, inner, inner]
    for axis in range(3):
        np.moveaxis(air, axis, 0)[[0, -1]] = False
    return np.asarray(air)
