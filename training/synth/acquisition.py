"""What differs from scan to scan and says nothing about the subject: the nuisances.

Drawn independently of age and sex, and much stronger in the image than what these do:
tissue contrast, gamma, bias field, Rician noise, blur, pose, where the skull strip cut.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

_TURN_DEG, _SHIFT_MM = 8.0, 6.0  # standard deviations


@dataclass(frozen=True)
class Acquisition:
    """How one scan was made; intensities relative to white matter's.

    Attributes:
        fluid, grey: intensities; white matter is 1.
        gamma: exponent on intensities.
        bias: standard deviation of the log of the bias field.
        bias_mm: its smoothness, the standard deviation of a Gaussian.
        noise: standard deviation of each of the two channels of Rician noise.
        blur_mm: standard deviation of the Gaussian that blurs the scan.
        strip_mm: how deep below the brain's surface the skull strip cut.
        turn_deg: (3,) rotations about the RAS axes.
        shift_mm: (3,) RAS.
    """

    fluid: float
    grey: float
    gamma: float
    bias: float
    bias_mm: float
    noise: float
    blur_mm: float
    strip_mm: float
    turn_deg: NDArray[np.float64]
    shift_mm: NDArray[np.float64]

    def facts(self) -> dict[str, float]:
        """Every number by name, the pose's by axis."""
        flat: dict[str, float] = {}
        for name, value in asdict(self).items():
            names = [f"{name}_{axis}" for axis in "xyz"] if np.ndim(value) else [name]
            flat |= dict(zip(names, map(float, np.ravel(value)), strict=True))
        return flat

    def pose(self) -> NDArray[np.float64]:
        """4x4 rigid, scan RAS mm -> the space in which the head is straight, RAS mm."""
        x, y, z = np.deg2rad(self.turn_deg)
        turn_x = [[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]]
        turn_y = [[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]]
        turn_z = [[np.cos(z), -np.sin(z), 0], [np.sin(z), np.cos(z), 0], [0, 0, 1]]
        matrix = np.eye(4)
        matrix[:3, :3] = np.array(turn_z) @ np.array(turn_y) @ np.array(turn_x)
        matrix[:3, 3] = self.shift_mm
        return matrix


def draw(rng: Generator, straight: bool = False) -> Acquisition:
    """A scan's nuisances; `straight` leaves the head in the model's own pose."""
    scan = Acquisition(
        fluid=rng.uniform(0.1, 0.4),
        grey=rng.uniform(0.55, 0.85),
        gamma=float(np.exp(rng.uniform(-0.4, 0.4))),
        bias=rng.uniform(0.05, 0.25),
        bias_mm=rng.uniform(30.0, 60.0),
        noise=rng.uniform(0.01, 0.1),
        blur_mm=rng.uniform(0.3, 1.0),
        strip_mm=rng.uniform(0.0, 2.0),
        turn_deg=np.zeros(3) if straight else _TURN_DEG * rng.standard_normal(3).clip(-2, 2),
        shift_mm=np.zeros(3) if straight else _SHIFT_MM * rng.standard_normal(3).clip(-2, 2),
    )
    return scan
