"""Scans that miss a part of the brain, and scans whose header lies about where it points."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from benchmarks.shared.spoiled.contrast import Mask, Random, Volume
from runtime.scan import Scan

Turn = tuple[tuple[int, ...], tuple[int, ...]]
"""Which stored axis each axis takes, and whether it is reversed (-1)."""

_CUT = (0.2, 0.35)  # of the brain's extent


def cut(scan: Scan, brain: Mask, random: Random) -> Scan:
    """A field of view that ends inside the brain, at a random side."""
    part, affine = _kept(scan, brain, random)
    return replace(scan, array=np.ascontiguousarray(scan.array[part]), affine=affine)


def blanked(scan: Scan, brain: Mask, random: Random) -> Scan:
    """The same cut on the full grid: zeros where the field of view would have ended."""
    part, _ = _kept(scan, brain, random)
    array: Volume = np.zeros_like(scan.array)
    array[part] = scan.array[part]
    return replace(scan, array=array)


def turns(mirrored: bool = False) -> Iterator[Turn]:
    """The 24 rotations that permute axes, the identity first; or the 24 with a mirror."""
    for order in itertools.permutations(range(3)):
        for signs in itertools.product((1, -1), repeat=3):
            matrix = np.eye(3)[list(order)] * np.array(signs)
            if (np.linalg.det(matrix) < 0) == mirrored:
                yield order, signs


def turned(scan: Scan, turn: Turn) -> Scan:
    """The voxels reordered under a header that still says RAS; voxel sizes go with their axes."""
    order, signs = turn
    steps = tuple(slice(None, None, sign) for sign in signs)
    array = np.ascontiguousarray(scan.array.transpose(order)[steps])
    spacing = np.linalg.norm(scan.affine[:3, :3], axis=0)[list(order)]
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = -0.5 * spacing * (np.array(array.shape) - 1)
    return replace(scan, array=array, affine=affine, facts=dict(scan.facts))


def upside_down(scan: Scan, brain: Mask, random: Random) -> Scan:
    """The inferior-superior axis reversed."""
    return turned(scan, ((0, 1, 2), (1, 1, -1)))


def wrong_axes(scan: Scan, brain: Mask, random: Random) -> Scan:
    """One of the 23 wrong rotations."""
    wrong = list(turns())[1:]
    return turned(scan, wrong[random.integers(len(wrong))])


def wrong_unit(scan: Scan, brain: Mask, random: Random) -> Scan:
    """Voxel sizes a third too small or too large."""
    factor = random.choice([0.65, 1.5])
    return _scaled(scan, factor)


def small(scan: Scan, brain: Mask, random: Random) -> Scan:
    """A newborn's size: a third of an adult's volume."""
    return _scaled(scan, 0.69)


def _scaled(scan: Scan, factor: float) -> Scan:
    affine = scan.affine.copy()
    affine[:3] *= factor
    spacing = [factor * s for s in scan.facts["spacing"]]
    return replace(scan, affine=affine, facts={**scan.facts, "spacing": spacing})


def _kept(scan: Scan, brain: Mask, random: Random) -> tuple[tuple[slice, ...], np.ndarray]:
    where = np.argwhere(brain)
    low, high = where.min(axis=0), where.max(axis=0) + 1
    axis, end = int(random.integers(3)), int(random.integers(2))
    away = int(random.uniform(*_CUT) * (high - low)[axis])
    bounds = [0, scan.array.shape[axis]]
    bounds[end] = int(high[axis] - away if end else low[axis] + away)
    if axis == 2 and end == 0:  # more below: the brain stem is thin
        bounds[0] = int(low[2] + 0.45 * (high - low)[2])
    part = [slice(None)] * 3
    part[axis] = slice(*bounds)
    affine = scan.affine.copy()
    affine[:3, 3] += affine[:3, axis] * bounds[0]
    return tuple(part), affine
