"""The coarse search of the rigid registration: many rotations about the centre of mass."""

from __future__ import annotations

import itertools

import numpy as np

from runtime.preprocess.pyramid import Placed
from runtime.preprocess.register.climb import climb
from runtime.preprocess.register.mutual import Points, Vector, information
from runtime.transform import quarter_turns, rotation

_CLIMBED = 6
_TILTS = np.deg2rad((-40.0, -20.0, 0.0, 20.0, 40.0))


def search(moving: Placed, fixed: Points) -> Vector:
    """The pose (4x4, template RAS mm -> scan RAS mm) to refine.

    The centres of mass are laid on each other, every rotation of `rotations` is scored by its
    mutual information, and the best few are climbed at this level.
    """
    mass = _centre_of_mass(moving)
    centre = fixed.value @ fixed.where / fixed.value.sum()
    poses = []
    for turn in rotations():
        pose = np.eye(4)
        pose[:3, :3] = turn
        pose[:3, 3] = mass - turn @ centre
        poses.append(pose)
    scores = np.array([information(moving, fixed, pose)[0] for pose in poses])
    best = np.argsort(-scores, kind="stable")[:_CLIMBED]
    climbs = [climb(moving, fixed, poses[i], tolerance_mm=0.5, most=15) for i in best]
    return max(climbs, key=lambda c: c.information).matrix


def rotations() -> list[Vector]:
    """3x3 each: tilts up to 40 degrees, and the 24 that permute axes (a header upside down)."""
    tilts = [rotation(np.array(v)) for v in itertools.product(_TILTS, repeat=3)]
    return tilts + quarter_turns()


def _centre_of_mass(volume: Placed) -> Vector:
    weight = volume.array.astype(np.float64)
    index = [
        weight.sum(axis=tuple(a for a in range(3) if a != axis)) @ np.arange(n)
        for axis, n in enumerate(weight.shape)
    ]
    return np.asarray(
        volume.affine[:3, :3] @ (np.array(index) / weight.sum()) + volume.affine[:3, 3]
    )
