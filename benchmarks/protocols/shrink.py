"""Scans resized once, where a study is smaller than the model's space; the same inputs, sooner."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from training.augment.whole import Shape
from training.cohort.prepared import PreparedScan, brain_ml


@dataclass(frozen=True)
class Shrunk:
    """A prepared scan in memory.

    Attributes:
        volume: float32 (z, y, x).
        mask: bool, same shape.
        facts: of the scan it was made from, with a "digest" of its own and "brain_volume_ml".
    """

    volume: NDArray[np.float32]
    mask: NDArray[np.bool_]
    facts: dict[str, Any]


def shrink(entry: PreparedScan, shape: Shape) -> PreparedScan:
    """The scan at `shape`, as `training.augment.whole.whole` resizes it; one that has it stays."""
    if entry.mask.shape == shape:
        return entry
    volume = torch.from_numpy(np.array(entry.volume, dtype=np.float32))[None, None]
    mask = torch.from_numpy(np.array(entry.mask, dtype=np.float32))[None, None]
    name = f"{entry.facts['digest']} {shape}"
    facts = {
        **entry.facts,
        "digest": hashlib.sha256(name.encode()).hexdigest(),
        "brain_volume_ml": brain_ml(entry),
    }
    return Shrunk(
        functional.interpolate(volume, shape, mode="trilinear")[0, 0].numpy(),
        functional.interpolate(mask, shape, mode="nearest-exact")[0, 0].numpy() > 0,
        facts,
    )
