"""Brains made of formulas: bright depth, dim folded surface, dark ventricles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from fmtool.space import CROP_SHAPE
from runtime.quality.view import View


@dataclass
class Brain:
    """A brain on the model's crop."""

    volume: NDArray[np.float32]
    mask: NDArray[np.bool_]

    def view(self, volume: NDArray[np.float32] | None = None) -> View:
        """As the checks see it, its crop standing in for its own voxels."""
        return View(self.volume if volume is None else volume, self.mask, np.ones(3))


def make(scale: float = 1.0, shift: int = 0) -> Brain:
    """As T1-weighting shows it."""
    z, y, x = np.ogrid[: CROP_SHAPE[0], : CROP_SHAPE[1], : CROP_SHAPE[2]]
    centre = [n / 2 + shift for n in CROP_SHAPE]
    u, v, w = ((a - c) / scale for a, c in zip((z, y, x), centre, strict=True))
    radius = np.sqrt((u / 60) ** 2 + (v / 85) ** 2 + (w / 65) ** 2)
    folds = 0.08 * np.sin(u / 4) * np.sin(v / 4) * np.sin(w / 4)
    tissue = np.where(radius + folds < 0.8, 900.0, 600.0)
    tissue = np.where((np.abs(u) < 8) & (np.abs(v) < 25) & (np.abs(w) < 10), 250.0, tissue)
    tissue = np.where(radius > 0.97, 300.0, tissue)
    mask = radius < 1
    return Brain(np.where(mask, tissue, 0).astype(np.float32), mask)


@pytest.fixture(scope="session")
def brain() -> Brain:
    return make()


@pytest.fixture(scope="session")
def make_brain() -> Callable[..., Brain]:
    return make
