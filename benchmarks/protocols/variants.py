"""The augmentation's variants, and the two of them that do nothing but round differently."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from training.augment import SimCLRAugment
from training.cohort.prepared import PreparedScan
from training.fit.recipe import generator

WHOLE, SHIFT, CONTROL = "all", "with shift", "all, intensities x 1.5"


@dataclass(frozen=True)
class Scaled:
    """A prepared scan in another unit of intensity."""

    entry: PreparedScan

    @property
    def volume(self) -> NDArray[np.float32]:
        """One and a half times the scan's; not a power of two, so that all digits change."""
        return np.asarray(self.entry.volume * np.float32(1.5))

    @property
    def mask(self) -> NDArray[np.bool_]:
        """The scan's."""
        return self.entry.mask

    @property
    def facts(self) -> dict[str, Any]:
        """The scan's, with a digest of its own."""
        return {**self.entry.facts, "digest": f"{self.entry.facts['digest']} x 1.5"}


def variants(full: SimCLRAugment) -> dict[str, SimCLRAugment]:
    """The recipe, without each of its parts, with the shift; and again, for the control."""
    parts = sorted(full.parts - {"shift"})
    without = {f"without {part}": replace(full, parts=full.parts - {part}) for part in parts}
    return {
        WHOLE: full,
        **without,
        SHIFT: replace(full, parts=full.parts | {"shift"}),
        CONTROL: full,
    }


def shift_change(
    entries: Sequence[PreparedScan], full: SimCLRAugment, seed: int, views: int
) -> float:
    """The largest relative difference |v - v'| / |v| of views without and with the shift.

    Args:
        entries: scans, taken in turn.
        full: the recipe.
        seed: of the views; both draw the same numbers.
        views: how many pairs.
    """
    shifted = variants(full)[SHIFT]
    worst = 0.0
    for view in range(views):
        entry = entries[view % len(entries)]
        volume, mask = (torch.from_numpy(np.array(a)) for a in (entry.volume, entry.mask))
        one, other = (how(volume, mask, generator(seed, view)) for how in (full, shifted))
        worst = max(worst, float((one - other).norm() / one.norm()))
    return worst
