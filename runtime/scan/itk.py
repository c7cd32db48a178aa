"""Which frame ITK takes from a NIfTI header, so that ITK, ANTs and 3D Slicer can be told a place.

ITK takes the sform where its code is 1 or there is no qform, if its axes are at right angles, and
its directions only: the voxel sizes are always the header's. Compared with SimpleITK's reader.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Affine = NDArray[np.float64]

_RIGHT_ANGLES = 1e-4  # the largest cosine between two axes of a frame that ITK takes


def frame(
    sform: Affine | None, sform_code: int, qform: Affine | None, pixdim: NDArray[np.float64]
) -> Affine:
    """The 4x4, voxel -> RAS, that ITK reads; NaN where it reads none, or nonsense.

    Args:
        sform: 4x4, voxel -> RAS, if its code is above 0.
        sform_code: that code.
        qform: 4x4, voxel -> RAS, if its code is above 0.
        pixdim: three voxel sizes, in the frames' unit.
    """
    nothing = np.full((4, 4), np.nan)
    given = [a for a in (sform, qform) if a is not None]
    if not (np.isfinite(pixdim).all() and min(pixdim) > 0 and np.isfinite(given).all()):
        return nothing
    if not given:
        return np.diag([-pixdim[0], -pixdim[1], pixdim[2], 1.0])
    if sform is None or (qform is not None and (sform_code != 1 or not _is_square(sform))):
        return nothing if qform is None else qform
    if not _is_square(sform):
        return nothing
    taken = sform.copy()
    taken[:3, :3] *= pixdim / np.linalg.norm(sform[:3, :3], axis=0)
    return taken


def _is_square(affine: Affine) -> bool:
    """Whether its axes are at right angles, as ITK demands."""
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        axes = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
        return bool(np.abs(axes.T @ axes - np.eye(3)).max() <= _RIGHT_ANGLES)
