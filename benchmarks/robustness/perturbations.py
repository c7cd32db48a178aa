"""The list of perturbations: their names, their groups, and what each does to a head."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.robustness import grid, intensity
from benchmarks.robustness.head import PerturbedHead
from runtime.transform import about

POSE = np.deg2rad(12.0), (0.6, 0.0, 0.8), (5.3, -4.2, 6.1)
"""Of the moved head: angle, axis (RAS) through the array's centre, then a shift of 9.1 mm."""

SEED = 20

Change = Callable[[PerturbedHead, NDArray[np.bool_], np.random.Generator], PerturbedHead]


@dataclass(frozen=True)
class Perturbation:
    """One way to see a head otherwise.

    Attributes:
        name: in the tables.
        group: "pose", "voxels", "intensity" or "coverage".
        change: from a head, its brain (bool, the head's grid) and a random generator.
        judged: whether the bar holds for it.
        whole: whether it only makes sense for a whole head.
        pose: 4x4, where each point of a head (RAS mm) goes; the identity unless the head moves.
    """

    name: str
    group: str
    change: Change
    judged: bool = False
    whole: bool = False
    pose: Callable[[PerturbedHead], NDArray[np.float64]] = lambda head: np.eye(4)

    def of(self, head: PerturbedHead, brain: NDArray[np.bool_]) -> PerturbedHead:
        """The head perturbed; the same on every call."""
        return self.change(head, brain, np.random.default_rng(SEED))


def _on_grid(change: Callable[..., PerturbedHead], **how: Any) -> Change:
    return lambda head, brain, generator: change(head, **how)


def _drawn(change: Callable[..., PerturbedHead], strength: float) -> Change:
    return lambda head, brain, generator: change(head, brain, strength, generator)


def _bent(gamma: float) -> Change:
    return lambda head, brain, generator: intensity.curved(head, brain, gamma)


def pose_of(head: PerturbedHead) -> NDArray[np.float64]:
    """4x4: where the points (RAS mm) of the moved head go."""
    angle, axis, shift = POSE
    middle = (head.affine @ np.append((np.array(head.array.shape) - 1) / 2.0, 1.0))[:3]
    return about(middle, angle * np.array(axis), np.array(shift))


_MOVED = _on_grid(lambda head: grid.moved(head, pose_of(head)))
_HALF = _on_grid(grid.shifted, voxels=(0.5, 0.5, 0.5))

ALL = (
    Perturbation("grid turned 5°", "pose", _on_grid(grid.turned, axis=(1, 1, 1), degrees=5), True),
    Perturbation(
        "grid turned 15°", "pose", _on_grid(grid.turned, axis=(1, -1, 1), degrees=15), True
    ),
    Perturbation("grid shifted by half a voxel", "pose", _HALF, True),
    Perturbation("head moved 12°, 9 mm", "pose", _MOVED, True, pose=pose_of),
    *(
        Perturbation(
            f"voxels {mm:g} mm", "voxels", _on_grid(grid.spaced, millimetres=mm), 0.8 <= mm <= 1.2
        )
        for mm in (0.7, 0.8, 1.0, 1.2, 1.5, 2.0)
    ),
    *(Perturbation(f"noise, SNR {n}", "intensity", _drawn(intensity.noisy, n)) for n in (20, 10)),
    *(
        Perturbation(f"bias field {n} %", "intensity", _drawn(intensity.shaded, n))
        for n in (20, 40)
    ),
    *(Perturbation(f"gamma {g:g}", "intensity", _bent(g)) for g in (0.8, 1.25)),
    *(
        Perturbation(
            f"ghosts of {n} %",
            "intensity",
            _on_grid(intensity.ghosted, axis=1, percent=n, period=4),
        )
        for n in (2, 5)
    ),
    Perturbation("neck cut off", "coverage", lambda h, b, r: intensity.beheaded(h, b), whole=True),
    Perturbation("defaced", "coverage", lambda h, b, r: intensity.defaced(h, b), whole=True),
)
