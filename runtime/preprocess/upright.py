"""The order of a scan's voxels in which the head stands upright in the array.

The stripping networks know upright heads only. The canonical order follows the header: one that
turns the axes by more than 45 degrees lays an upright array on its side.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from runtime.scan.frame import to_canonical
from runtime.transform import degrees, quarter_turns

Matrix = NDArray[np.float64]

_LYING = 35.0
# Degrees off upright, from which on another order is tried: real heads are scanned at up to 31. A
# header that turns by 46 leaves them, in the canonical order, at 44 or more.


def upright(affine: Matrix, pose: Matrix | None, tried: Sequence[Matrix]) -> Matrix | None:
    """The turn for `in_order` after which the head stands nearest to upright; None if it does.

    A head on its side may be registered as if it stood. Where the header turns the axes as far as
    no head is turned, the order next to the canonical one is tried whatever the pose.

    Args:
        affine: 4x4, voxel -> scan RAS mm.
        pose: 4x4, template RAS mm -> scan RAS mm, as found in this order; None where none was: the
            header alone says which order is next.
        tried: turns that are not named again.
    """
    inside: Matrix = np.asarray(np.linalg.inv(_axes(affine)), dtype=np.float64)
    if pose is not None and not stands(affine, pose):
        inside = inside @ pose[:3, :3]
    elif pose is not None and degrees(inside) <= _LYING:
        return None
    turns = [t for t in quarter_turns() if not any(np.array_equal(t, known) for known in tried)]
    return min(turns, key=lambda turn: degrees(turn.T @ inside))


def stands(affine: Matrix, pose: Matrix) -> bool:
    """Whether a head of this pose stands more or less upright in the array."""
    return degrees(np.linalg.inv(_axes(affine)) @ pose[:3, :3]) <= _LYING


def in_order(
    array: NDArray[np.float32], affine: Matrix, turn: Matrix
) -> tuple[NDArray[np.float32], Matrix]:
    """A scan in another order of its voxels, and the affine that keeps them at their place.

    Args:
        array: (x, y, z).
        affine: 4x4, voxel -> scan RAS mm.
        turn: one of `quarter_turns`; its columns are the new axes among the old ones.
    """
    axes = np.eye(4)
    axes[:3, :3] = turn.T
    order, flips, moved = to_canonical(axes, array.shape)
    turned = array.transpose(order)[tuple(slice(None, None, -1 if f else 1) for f in flips)]
    return np.ascontiguousarray(turned), affine @ np.linalg.inv(axes) @ moved


def _axes(affine: Matrix) -> Matrix:
    return np.asarray(affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0), dtype=np.float64)
