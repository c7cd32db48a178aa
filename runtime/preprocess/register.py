"""Rigid registration of a brain to the template: mutual information, coarse to fine.

Six degrees of freedom, never scaled: brain size is information. The pose is a rotation (radians,
axis times angle) about the template brain's centre and a shift in mm, in MNI RAS; it is kept and
returned as a 4x4 that maps **template RAS mm -> scan RAS mm**.

The steps: the centres of mass are matched; at 8 mm a grid of rotations is scored, among them the
24 that permute axes (an upside-down header is found); the best few are climbed; the winner is
refined at 4 mm and at 2 mm. The measure is the one that antsRegistrationSyNQuick[r] uses.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from fmtool.errors import PreprocessingError
from runtime.preprocess.ascend import climb
from runtime.preprocess.mutual import Points, Vector, information, points, read, winsorised
from runtime.preprocess.pyramid import Volume, bounded, shrink
from runtime.preprocess.template import Template
from runtime.preprocess.transform import rotation

SIMILAR = 0.5
"""The least similarity of a registration to be trusted."""

_COARSE = (8.0, 8.0, 1)  # voxel mm, blur mm, lattice
_MIDDLE = (4.0, 4.0, 1)
_FINE = (2.0, 2.0, 2)
_CLIMBED = 6
_TILTS = np.deg2rad((-40.0, -20.0, 0.0, 20.0, 40.0))


@dataclass(frozen=True)
class Rigid:
    """A rigid registration.

    Attributes:
        matrix: 4x4 float64, template RAS mm -> scan RAS mm.
        similarity: correlation of the intensities inside the template's brain, -1 to 1, at 4 mm.
        ok: whether the registration can be trusted.
        reason: why not; empty when `ok`.
        information: mutual information at the pose, nats.
        evaluations: how often the scan was read at the finest level.
    """

    matrix: NDArray[np.float64]
    similarity: float
    ok: bool
    reason: str
    information: float
    evaluations: int


def rigid(
    moving: NDArray[np.float32],
    moving_affine: NDArray[np.float64],
    mask: NDArray[np.bool_] | None = None,
    template: Template | None = None,
) -> Rigid:
    """Register a brain to the template.

    Args:
        moving: (x, y, z), bias-corrected; skull-stripped, or with `mask`.
        moving_affine: 4x4, voxel -> scan RAS mm.
        mask: bool (x, y, z), the brain; nothing outside it is used.
        template: the demonstration bundle's when absent.

    Raises:
        PreprocessingError: if the brain is empty.
    """
    fixed = template if template is not None else Template.load()
    brain = _brain(moving, moving_affine, mask)
    coarse, middle, fine = _levels(fixed)
    small = shrink(brain, _MIDDLE[0], _MIDDLE[1])
    start = _search(shrink(brain, _COARSE[0], _COARSE[1]), coarse)
    near = climb(small, middle, start, tolerance_mm=0.1)
    end = climb(shrink(brain, _FINE[0], _FINE[1]), fine, near.matrix, tolerance_mm=0.02)
    alike = _correlation(small, middle, end.matrix)
    reason = "" if alike >= SIMILAR else f"similarity {alike:.2f} is below {SIMILAR}"
    return Rigid(end.matrix, alike, not reason, reason, end.information, end.evaluations)


def similarity(
    moving: NDArray[np.float32],
    moving_affine: NDArray[np.float64],
    mask: NDArray[np.bool_] | None,
    template: Template,
    matrix: NDArray[np.float64] | None = None,
) -> float:
    """`Rigid.similarity` of a brain at a given pose; in template space when `matrix` is absent."""
    brain = _brain(moving, moving_affine, mask)
    pose = np.eye(4) if matrix is None else matrix
    return _correlation(shrink(brain, _MIDDLE[0], _MIDDLE[1]), _levels(template)[1], pose)


def _brain(
    moving: NDArray[np.float32], affine: NDArray[np.float64], mask: NDArray[np.bool_] | None
) -> Volume:
    array = moving if mask is None else np.where(mask, moving, np.float32(0.0))
    array = np.maximum(array, np.float32(0.0))
    if not array.any():
        raise PreprocessingError("the brain is empty: there is nothing to register")
    return winsorised(bounded(Volume(array, np.asarray(affine, dtype=np.float64))))


@lru_cache(maxsize=2)
def _levels(template: Template) -> tuple[Points, Points, Points]:
    """The template's points at the three levels, made once."""
    coarse, middle, fine = (points(template, *level) for level in (_COARSE, _MIDDLE, _FINE))
    return coarse, middle, fine


def _search(moving: Volume, fixed: Points) -> Vector:
    """The best pose at the coarse level, from many rotations about the centre of mass."""
    start = np.eye(4)
    weight = moving.array.astype(np.float64)
    index = [
        np.tensordot(weight.sum(axis=tuple({0, 1, 2} - {a})), np.arange(n), 1)
        for a, n in enumerate(weight.shape)
    ]
    mass = moving.affine[:3, :3] @ (np.array(index) / weight.sum()) + moving.affine[:3, 3]
    centre = fixed.value @ fixed.where / fixed.value.sum()
    scored = []
    for turn in _rotations():
        start = np.eye(4)
        start[:3, :3] = turn
        start[:3, 3] = mass - turn @ centre
        scored.append((information(moving, fixed, start)[0], len(scored), start))
    best = sorted(scored, reverse=True)[:_CLIMBED]
    climbs = [climb(moving, fixed, pose, tolerance_mm=0.5, most=15) for _, _, pose in best]
    return max(climbs, key=lambda c: c.information).matrix


def _rotations() -> list[Vector]:
    """Tilts up to 40 degrees about each axis, and the 24 rotations that permute the axes."""
    tilts = [rotation(np.array(v)) for v in itertools.product(_TILTS, repeat=3)]
    turns = []
    for order in itertools.permutations(range(3)):
        for signs in itertools.product((1.0, -1.0), repeat=3):
            turn = np.eye(3)[list(order)] * np.array(signs)
            if np.linalg.det(turn) > 0:
                turns.append(turn)
    return tilts + turns


def _correlation(moving: Volume, fixed: Points, matrix: Vector) -> float:
    inside = fixed.value > 0.15 * fixed.value.max()
    values = read(moving, matrix, fixed.where[inside])
    if values.std() == 0.0:
        return 0.0
    return float(np.corrcoef(values, fixed.value[inside])[0, 1])
