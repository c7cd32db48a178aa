"""Rigid transforms: six numbers <-> 4x4, and ITK's text file.

Every 4x4 here maps **template RAS mm -> scan RAS mm** (points, column vectors): it says where in
the scan to look for a template point, which is the direction that resampling needs.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
# ITK's world is LPS, NIfTI's and fmtool's RAS: the signs of x and y differ. Its own inverse.


def rotation(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    """3x3 rotation by |vector| radians about the direction of `vector` (Rodrigues' formula)."""
    angle = float(np.linalg.norm(vector))
    x, y, z = np.asarray(vector) / angle if angle > 0.0 else np.zeros(3)
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    turn = np.eye(3) + np.sin(angle) * cross + (1.0 - np.cos(angle)) * (cross @ cross)
    return np.asarray(turn, dtype=np.float64)


def rotation_vector(turn: NDArray[np.float64]) -> NDArray[np.float64]:
    """The inverse of `rotation`, for angles below pi: axis times angle, radians."""
    skew = np.array([turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1]])
    sine = 0.5 * float(np.linalg.norm(skew))
    if sine < 1e-12:
        return np.asarray(0.5 * skew, dtype=np.float64)
    angle = float(np.arctan2(sine, 0.5 * (np.trace(turn) - 1.0)))
    return np.asarray(0.5 * skew * (angle / sine), dtype=np.float64)


def about(
    centre: NDArray[np.float64], vector: NDArray[np.float64], shift: NDArray[np.float64]
) -> NDArray[np.float64]:
    """4x4 that rotates by `vector` (radians) about `centre` (mm), then moves by `shift` (mm)."""
    matrix = np.eye(4)
    matrix[:3, :3] = rotation(vector)
    matrix[:3, 3] = centre + shift - matrix[:3, :3] @ centre
    return matrix


def quarter_turns() -> list[NDArray[np.float64]]:
    """The 24 rotations, 3x3, that lay axes on axes."""
    signed = [
        np.eye(3)[list(order)] * np.array(signs)
        for order in itertools.permutations(range(3))
        for signs in itertools.product((1.0, -1.0), repeat=3)
    ]
    return [turn for turn in signed if np.linalg.det(turn) > 0]


def degrees(turn: NDArray[np.float64]) -> float:
    """The angle of a rotation, 3x3."""
    return float(np.degrees(np.arccos(np.clip((np.trace(turn) - 1.0) / 2.0, -1.0, 1.0))))


def to_itk(matrix: NDArray[np.float64]) -> str:
    """A 4x4, template RAS mm -> scan RAS mm, as the text of an ITK transform file.

    ITK's convention is the same direction (fixed point -> moving point) in LPS mm. ANTs
    (`antsApplyTransforms -t FILE`), SimpleITK (`ReadTransform`) and 3D Slicer read it. The scan's
    mm must be those that ITK reads from its file: see `runtime.scan.Scan.itk`.
    """
    lps = _LPS @ matrix @ _LPS
    numbers = " ".join(f"{v:.17g}" for v in (*lps[:3, :3].ravel(), *lps[:3, 3]))
    return (
        "#Insight Transform File V1.0\n#Transform 0\n"
        "Transform: AffineTransform_double_3_3\n"
        f"Parameters: {numbers}\nFixedParameters: 0 0 0\n"
    )
