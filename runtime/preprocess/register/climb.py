"""Climb mutual information over the six numbers of a pose: a damped quasi-Newton method."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from runtime.preprocess.pyramid import Placed
from runtime.preprocess.register.mutual import Points, Vector, information
from runtime.transform import about, rotation_vector

_RADIUS_MM = 70.0
# A brain's radius: one radian moves its surface by so many millimetres.

_METRIC = np.diag([_RADIUS_MM**2] * 3 + [1.0] * 3)
# Squared length of (rotation, shift) in mm^2, at the brain's surface.

_LARGEST_STEP_MM = 8.0
_NOISE = 2e-6
# Nats: a fall that interpolation alone can cause.


@dataclass(frozen=True)
class Climb:
    """Where a climb ended.

    Attributes:
        matrix: 4x4, template RAS mm -> scan RAS mm.
        information: nats there.
        evaluations: how often the scan was read.
    """

    matrix: Vector
    information: float
    evaluations: int


def climb(
    moving: Placed,
    fixed: Points,
    matrix: Vector,
    tolerance_mm: float,
    most: int = 25,
    leash: float = 0.0,
) -> Climb:
    """Ascend from `matrix` until a step is shorter than `tolerance_mm`.

    The first curvature is half the score products (they exaggerate it for blurred volumes);
    damped BFGS updates then learn the true one. Steps are taken on the template's side and
    composed from the right: `matrix <- matrix @ inverse(step)`.

    Args:
        moving: the scan at this level.
        fixed: the template's points at this level.
        matrix: 4x4 start, template RAS mm -> scan RAS mm.
        tolerance_mm: at the brain's surface.
        most: evaluations after which no new step begins.
        leash: nats per mm^2 that a departure from the start costs.
    """

    start = matrix

    def cost(pose: Vector) -> tuple[float, Vector]:
        away = _departure(start, pose, fixed.centre)
        pull = leash * (_METRIC @ away)
        return float(away @ pull), 2.0 * pull

    def at(pose: Vector) -> tuple[float, Vector, Vector]:
        value, gradient, products = information(moving, fixed, pose)
        paid, pull = cost(pose)
        return value - paid, gradient + pull, products

    value, gradient, products = at(matrix)
    curvature = 0.5 * products + 2.0 * leash * _METRIC + 1e-12 * np.eye(6)
    evaluations = 1
    while evaluations < most:
        step: Vector = np.asarray(np.linalg.solve(curvature, gradient), dtype=np.float64)
        length = _length(step)
        if length < tolerance_mm:
            break
        step = step * min(1.0, _LARGEST_STEP_MM / length)
        for _ in range(3):
            back = np.linalg.inv(about(fixed.centre, step[:3], step[3:]))
            trial: Vector = np.asarray(matrix @ back, dtype=np.float64)
            risen, turned, _ = at(trial)
            evaluations += 1
            if risen >= value - _NOISE:
                break
            step = step / 3.0
        else:
            break
        curvature = _learn(curvature, step, gradient - turned)
        matrix, value, gradient = trial, risen, turned
    return Climb(matrix, value + cost(matrix)[0], evaluations)


def _departure(start: Vector, pose: Vector, centre: Vector) -> Vector:
    """(6,) rotation vector (radians) and shift (mm) of `centre` from one pose to another."""
    between = np.linalg.inv(start) @ pose
    shift = between[:3, :3] @ centre + between[:3, 3] - centre
    return np.concatenate([rotation_vector(between[:3, :3]), shift])


def _length(step: Vector) -> float:
    """How far a step moves the brain's surface, mm."""
    return float(np.hypot(_RADIUS_MM * np.linalg.norm(step[:3]), np.linalg.norm(step[3:])))


def _learn(curvature: Vector, step: Vector, change: Vector) -> Vector:
    """BFGS with Powell's damping, which keeps the curvature positive."""
    along = curvature @ step
    expected = float(step @ along)
    found = float(step @ change)
    if found < 0.2 * expected:
        share = 0.8 * expected / (expected - found)
        change = share * change + (1.0 - share) * along
        found = float(step @ change)
    return np.asarray(
        curvature + np.outer(change, change) / found - np.outer(along, along) / expected
    )
