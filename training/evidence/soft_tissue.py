"""Smoothed maps of soft tissue: what a linear model of the scan reads, in the manner of VBM.

Inside the brain mask, each voxel of the z-scored volume belongs to three intensities (of a
T1-weighted head: fluid, grey, white) in shares that add up to one. The three maps of shares are
smoothed and sampled on a coarse grid, so that a number tells how much of a tissue is in a place.
Smoothed tissue maps are what voxel-based morphometry compares (Ashburner and Friston, NeuroImage
2000); those here need no segmentation and no warp.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fmtool.files import sha256

CENTRES = (-1.5, 0.0, 1.0)
"""Of the three intensities, in the brain's standard deviations from its mean."""

WIDTH = 0.5
"""Of each, in the same unit: how softly they part."""

SIGMA = 7.0
"""Of the smoothing, in voxels, which are millimetres on the model's crop."""

STEP = 4
"""Voxels from one sample to the next."""

_PART = 1 << 14  # features at a time


def smoothed(volume: NDArray[np.floating], mask: NDArray[np.bool_]) -> NDArray[np.float16]:
    """The three maps, (3, z / 4, y / 4, x / 4), each sample the share of a tissue around it.

    Args:
        volume: (z, y, x), as prepared.
        mask: same shape, true inside the brain.
    """
    inside = np.asarray(mask, dtype=bool)
    box = tuple(
        _extent(np.asarray(inside.any(axis=tuple({0, 1, 2} - {axis})))) for axis in range(3)
    )
    brain = inside[box]
    values = np.asarray(volume[box][brain], dtype=np.float32)
    values = (values - values.mean()) / max(float(values.std()), 1e-6)
    near = [np.exp((values - centre) ** 2 * (-0.5 / WIDTH**2)) + 1e-12 for centre in CENTRES]
    total = near[0] + near[1] + near[2]
    smooth = [_smoothing(count, part) for count, part in zip(inside.shape, box, strict=True)]
    maps, one = [], np.zeros(brain.shape, dtype=np.float32)
    for share in near:
        one[brain] = share / total
        plane = smooth[1] @ (one @ smooth[2].T)
        maps.append(np.tensordot(smooth[0], plane, 1))
    return np.stack(maps).astype(np.float16)


def _extent(there: NDArray[np.bool_]) -> slice:
    """From the first place that is true to behind the last."""
    places = np.flatnonzero(there)
    return slice(int(places[0]), int(places[-1]) + 1) if len(places) else slice(0, 0)


def _smoothing(count: int, part: slice) -> NDArray[np.float32]:
    """(samples, voxels of the part): a Gaussian around each sample of an axis of `count` voxels."""
    places = np.arange((STEP - 1) / 2, count, STEP)[:, None]
    weight = np.exp(-0.5 * ((np.arange(count)[part] - places) / SIGMA) ** 2)
    return np.asarray(weight / (SIGMA * np.sqrt(2 * np.pi)), dtype=np.float32)


def made_by() -> str:
    """What names the maps that today's code makes."""
    return sha256(Path(__file__))[:16]


def inner_products(maps: Sequence[NDArray[np.floating]]) -> NDArray[np.float64]:
    """(N, N) of N scans' maps around their mean, which no linear model with a bias sees.

    Args:
        maps: of one shape; may be memory-mapped, for they are read a part at a time.
    """
    flat = [one.reshape(-1) for one in maps]
    found = np.zeros((len(flat), len(flat)))
    for first in range(0, flat[0].size, _PART):
        part = np.stack([one[first : first + _PART] for one in flat]).astype(np.float32)
        part -= part.mean(axis=0)
        found += part @ part.T
    return found
