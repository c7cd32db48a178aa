"""A head to be perturbed: its voxels, their place, and a strip's own outline where it has one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.scan import Scan


@dataclass(frozen=True)
class PerturbedHead:
    """A scan as the perturbations take and give it.

    Attributes:
        array: float32 (x, y, z), not negative.
        affine: 4x4, voxel -> scanner RAS mm.
        outline: bool (x, y, z), what a skull strip left; None of a whole head. Outside it every
            voxel is zero, before a perturbation and after it, as in a strip of the perturbed head.
    """

    array: NDArray[np.float32]
    affine: NDArray[np.float64]
    outline: NDArray[np.bool_] | None = None

    @property
    def spacing(self) -> NDArray[np.float64]:
        """Voxel size, mm per axis."""
        return np.asarray(np.linalg.norm(self.affine[:3, :3], axis=0))

    def with_values(self, array: NDArray[Any]) -> PerturbedHead:
        """The same grid with other intensities: none negative, none outside the outline."""
        kept = np.maximum(array, 0.0).astype(np.float32)
        if self.outline is not None:
            kept[~self.outline] = 0.0
        return PerturbedHead(kept, self.affine, self.outline)

    def scan(self) -> Scan:
        """What `Predictor.predict` takes."""
        return Scan(self.array, self.affine, facts={"spacing": self.spacing.round(4).tolist()})


def of(scan: Scan, stripped: bool) -> PerturbedHead:
    """A scan as a head; `stripped` says that its non-zero voxels are a strip's outline."""
    array = np.maximum(scan.array, 0.0)
    return PerturbedHead(array, scan.affine, array > 0 if stripped else None)
