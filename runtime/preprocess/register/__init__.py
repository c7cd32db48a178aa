"""Rigid registration of a brain to the template: mutual information, coarse to fine.

Six degrees of freedom, never scaled: brain size is information. The pose is a rotation (radians,
axis times angle) about the template brain's centre and a shift in mm, in MNI RAS; it is kept and
returned as a 4x4 that maps **template RAS mm -> scan RAS mm**.

1. For a start only, the brain is enlarged to the template's volume: rotations about the centre of
   mass are searched at 8 mm, the winner is climbed at 4 mm, and the pose is taken back to the
   brain's own size.
2. From there the brain in its own size climbs at 2 mm. The measure is the one that
   antsRegistrationSyNQuick[r] uses, background included, so that both share their optimum. For a
   brain much smaller than the template that optimum is flat in pitch (SyNQuick differs from itself
   by up to 5 mm between seeds); a weak leash to the start keeps it from running off there.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from fmtool.errors import PreprocessingError
from runtime.preprocess.pyramid import Placed, bounded, shrink
from runtime.preprocess.register.climb import climb
from runtime.preprocess.register.mutual import Points, Vector, points, read, winsorised
from runtime.preprocess.register.search import search
from runtime.preprocess.template import Template

SIMILAR = 0.24
"""The least similarity of a registration to be trusted.

Measured: 39 T1-weighted heads of three sites 0.30 to 0.63; T2-weighted -0.63 to -0.60, CT 0.01,
EPI 0.08, an infant 0.03, noise or a constant inside a brain's outline 0.02 to 0.13.
"""

OVERLAP = 0.70
"""The least overlap (Dice) of the two brains: those 39 heads 0.75 to 0.92, half a brain 0.48
to 0.67. A head of 0.82 times the template's size has 0.75."""

VOLUME_ML = (600.0, 2800.0)
"""What a brain can measure; an unstripped head measures 3 litres and more."""

_BASE_MM = 2.0
_COARSE = (8.0, 8.0, 1)  # voxel mm, blur mm, lattice
_MIDDLE = (4.0, 4.0, 2)
_FINE = (2.0, 2.0, 2)
_DARKEST = 0.7
# Of the template's brightest: below lies only fluid, whose share differs most between heads.

_ENLARGED = (0.8, 1.4)
_LEASH = 6e-5
# Nats per mm^2. Measured on 25 heads against none: the median distance to SyNQuick stays (1.2 mm),
# the largest distance between the results on two templates falls from 17 to 4 mm.
_WHOLE = 0.95
# Of a point, blurred as the intensities are: brain on all sides, so that the outline, which a mask
# alone would fit, adds nothing to the correlation.


@dataclass(frozen=True)
class Rigid:
    """A rigid registration.

    Attributes:
        matrix: 4x4 float64, template RAS mm -> scan RAS mm.
        similarity: correlation of the intensities where both have brain, -1 to 1.
        overlap: Dice coefficient of the two brains.
        ok: whether the registration can be trusted.
        reason: why not; empty when `ok`.
        information: mutual information at the pose, nats.
        evaluations: how often the scan was read at the finest level.
    """

    matrix: NDArray[np.float64]
    similarity: float
    overlap: float
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

    Example:
        >>> import numpy as np
        >>> from fmtool import bundle
        >>> from runtime import scan
        >>> from runtime.preprocess.register import rigid
        >>> brain = scan.read(bundle.DEMO / "template.nii.gz")
        >>> moved = brain.affine + np.outer([1, 0, 0, 0], [0, 0, 0, 5])  # 5 mm to the right
        >>> found = rigid(brain.array, moved)
        >>> found.ok, (np.abs(found.matrix[:3, 3] - (5, 0, 0)) < 0.2).all()
        (True, ...True...)
    """
    coarse, middle, fine = _levels(template if template is not None else Template.load())
    base, brain = _base(moving, moving_affine, mask)
    start = _matched_start(base, brain, coarse, middle)
    sharp = shrink(base, *_FINE[:2])
    end = climb(sharp, fine, start, tolerance_mm=0.04, leash=_LEASH)
    alike, overlap = _agreement(sharp, brain, fine, end.matrix)
    volume = brain.array.sum(dtype=np.float64) * brain.voxel_mm3 / 1000.0
    reason = ""
    if not VOLUME_ML[0] <= volume <= VOLUME_ML[1]:
        reason = f"the brain measures {volume:.0f} mL: not a whole brain without skull"
    elif alike < SIMILAR:
        reason = f"the brain does not look like the template (similarity {alike:.2f} < {SIMILAR})"
    elif overlap < OVERLAP:
        reason = f"the brain does not cover the template (overlap {overlap:.2f} < {OVERLAP})"
    return Rigid(end.matrix, alike, overlap, not reason, reason, end.information, end.evaluations)


def similarity(
    moving: NDArray[np.float32],
    moving_affine: NDArray[np.float64],
    mask: NDArray[np.bool_] | None,
    template: Template,
    matrix: NDArray[np.float64] | None = None,
) -> float:
    """`Rigid.similarity` of a brain at a given pose.

    Args:
        moving: (x, y, z), the scan's intensities.
        moving_affine: 4x4, voxel -> scan RAS mm.
        mask: the brain, same shape; None where `moving` is zero outside it.
        template: what it is compared with.
        matrix: 4x4, template RAS mm -> scan RAS mm; the identity if absent.
    """
    if mask is not None and mask.any():
        # WhiteStripe puts white matter at zero and the rest of the brain below it.
        moving = moving - min(moving[mask].min(), np.float32(0.0))
    base, brain = _base(moving, moving_affine, mask)
    pose = np.eye(4) if matrix is None else matrix
    return _agreement(shrink(base, *_FINE[:2]), brain, _levels(template)[2], pose)[0]


def _base(
    moving: NDArray[np.float32], affine: NDArray[np.float64], mask: NDArray[np.bool_] | None
) -> tuple[Placed, Placed]:
    """The winsorised brain and its mask (0 to 1), averaged to about 2 mm."""
    inside = moving > 0 if mask is None else mask & (moving > 0)
    if not inside.any():
        raise PreprocessingError("the brain is empty: there is nothing to register")
    outline = bounded(Placed(inside, np.asarray(affine, dtype=np.float64)))
    start = np.rint(np.linalg.solve(affine, outline.affine[:, 3])[:3]).astype(int)
    box = tuple(slice(a, a + n) for a, n in zip(start, outline.array.shape, strict=True))
    brain = np.where(outline.array, moving[box], np.float32(0.0))
    intensities = shrink(winsorised(Placed(brain, outline.affine)), _BASE_MM, 0.0)
    return intensities, shrink(outline, _BASE_MM, 0.0)


@lru_cache(maxsize=2)
def _levels(template: Template) -> tuple[Points, Points, Points]:
    """The template's points at the three levels, made once."""
    base, brain = _base(template.array, template.affine, template.mask)
    coarse, middle, fine = (points(base, brain, *level) for level in (_COARSE, _MIDDLE, _FINE))
    return coarse, middle, fine


def _matched_start(moving: Placed, brain: Placed, coarse: Points, middle: Points) -> Vector:
    """The pose of the brain enlarged to the template's volume, taken back to its own size.

    Outlines of different size leave the pose open by many degrees; enlarged, they do not. Only
    the rotation and the place of the brain's centre are kept.
    """
    middle_mm = middle.volume_mm3
    factor = float(np.cbrt(middle_mm / (brain.array.sum(dtype=np.float64) * brain.voxel_mm3)))
    factor = float(np.clip(factor, *_ENLARGED))
    fixed_point = moving.affine[:3, 3]
    grown = np.diag([factor, factor, factor, 1.0])
    grown[:3, 3] = fixed_point * (1.0 - factor)
    large = Placed(moving.array, grown @ moving.affine)
    near = search(shrink(large, *_COARSE[:2]), coarse)
    near = climb(shrink(large, *_MIDDLE[:2]), middle, near, tolerance_mm=0.1).matrix
    centre = near[:3, :3] @ middle.centre + near[:3, 3]
    own = np.linalg.inv(grown) @ np.append(centre, 1.0)
    start = near.copy()
    start[:3, 3] = own[:3] - near[:3, :3] @ middle.centre
    return start


def _agreement(moving: Placed, brain: Placed, fixed: Points, matrix: Vector) -> tuple[float, float]:
    """The similarity of the intensities where both have brain, and the brains' overlap."""
    share = read(shrink(brain, *_FINE[:2]), matrix, fixed.where)
    there = share > 0.5
    overlap = 2.0 * (there & fixed.brain).sum() / max(there.sum() + fixed.brain.sum(), 1)
    both = (share > _WHOLE) & fixed.brain
    expected = np.maximum(fixed.value[both], _DARKEST * fixed.value.max())
    found = read(moving, matrix, fixed.where[both])
    if both.sum() < 100 or found.std() == 0.0:
        return 0.0, float(overlap)
    return float(np.corrcoef(found, expected)[0, 1]), float(overlap)
