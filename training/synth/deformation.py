"""Where each voxel of a subject's scan comes from in the average anatomy.

    x = C + (P y - C) / s + d(.) - e n(.)

y is the voxel in the scan's RAS mm, P the pose, C the head's centre, s the head's size per axis,
d the subject's own smooth deformation and e n the ventricles' walls moved outward by e mm. All of
it is smooth and evaluated on a lattice of about 4 mm only, linear in between.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from training.synth.anatomy import Anatomy
from training.synth.subject import Subject, generator

Array = NDArray[np.float32]

CENTRE_MM = np.array([0.0, -18.0, 5.0])
"""RAS; where heads of every size have their middle."""

_OWN_MM = 22.0  # standard deviation of the Gaussian that makes the subject's own warp smooth
_OWN_STEP_MM = 8.0


def source(
    points: NDArray[np.float64], anatomy: Anatomy, subject: Subject, pose: NDArray[np.float64]
) -> Array:
    """Voxel indices of `anatomy` for points of a scan.

    Args:
        points: (3, i, j, k), scan RAS mm.
        anatomy: what is sampled.
        subject: whose head it is.
        pose: 4x4, scan RAS mm -> straight RAS mm.

    Returns:
        float32 (3, i, j, k).
    """
    flat = points.reshape(3, -1)
    straight = pose[:3, :3] @ flat + pose[:3, 3:]
    centre = CENTRE_MM[:, None]
    average = centre + (straight - centre) / (subject.size * subject.aspect[:, None])
    average = average + _own(anatomy, subject, average)
    walls = _at(anatomy.outward, anatomy.affine, average)
    average = average - subject.expansion_mm * walls
    inverse = np.linalg.inv(anatomy.affine)
    index = inverse[:3, :3] @ average + inverse[:3, 3:]
    return index.astype(np.float32).reshape(points.shape)


def _own(anatomy: Anatomy, subject: Subject, at: NDArray[np.float64]) -> NDArray[np.float64]:
    """The subject's own displacement in mm, at (3, n) points of the average head."""
    rng = generator(subject.warp_seed)
    shape = [int(n / _OWN_STEP_MM) + 2 for n in anatomy.depth.shape]
    sigma = _OWN_MM / _OWN_STEP_MM
    white = rng.standard_normal((3, *shape))
    smooth = np.stack([ndimage.gaussian_filter(part, sigma, mode="reflect") for part in white])
    smooth *= subject.warp_mm * (2.0 * np.sqrt(np.pi) * sigma) ** 1.5  # of unit variance again
    affine = anatomy.affine @ np.diag([_OWN_STEP_MM] * 3 + [1.0])
    return _at(smooth, affine, at)


def _at(
    field: NDArray[np.floating], affine: NDArray[np.float64], points: NDArray[np.float64]
) -> NDArray[np.float64]:
    """A vector field (3, x, y, z) at (3, n) RAS mm, linear, its border repeated outside."""
    inverse = np.linalg.inv(affine)
    index = inverse[:3, :3] @ points + inverse[:3, 3:]
    return np.stack(
        [ndimage.map_coordinates(part, index, order=1, mode="nearest") for part in field]
    )
