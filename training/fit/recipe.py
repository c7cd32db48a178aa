"""Recipe: what a training brings; the loop in `training.fit.loop` does the rest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Generator, Tensor, nn

from training.fit.settings import Settings

Gather = Callable[[Tensor], Tensor]
"""(n, ...) of this process -> (processes * n, ...) of all, in rank order; gradients flow back."""


@dataclass(frozen=True)
class ScanBatch:
    """Prepared scans on the training device.

    Attributes:
        volumes: float32 (N, z, y, x), as prepared, not z-scored.
        masks: bool, same shape.
        labels: float32 (N,), or (N, T) of T tasks; NaN where there is none.
        indices: which scans of the data set they are.
        epoch: from 0.
        seed: of the run.
    """

    volumes: Tensor
    masks: Tensor
    labels: Tensor
    indices: list[int]
    epoch: int
    seed: int

    def generator(self, position: int, view: int = 0) -> Generator:
        """The randomness of one view of the scan at `position` in this batch.

        It follows from the run's seed, the epoch, the scan and the view alone: neither the number
        of processes nor where a run was resumed changes it.
        """
        return generator(self.seed, self.epoch, self.indices[position], view)


def generator(*key: int) -> Generator:
    """A CPU generator whose seed mixes the numbers of `key`, their count included."""
    # The count, because NumPy pads short keys with zeros: (1, 2) would equal (1, 2, 0).
    (seed,) = np.random.SeedSequence((len(key), *key)).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(seed >> np.uint64(1)))


@dataclass(frozen=True)
class Loss:
    """What one step found.

    Attributes:
        value: scalar, with gradient.
        facts: scalars to log, detached.
    """

    value: Tensor
    facts: dict[str, Tensor]


class Recipe(Protocol):
    """One way to train.

    Attributes:
        name: such as "simclr"; part of a run's record.
        network: all that is trained, the encoder as its attribute `encoder`.
    """

    name: str
    network: nn.Module

    def describe(self) -> dict[str, Any]:
        """What must be equal for a resumed run to be the same run; plain JSON data."""
        ...

    def check(self, settings: Settings, device: torch.device) -> None:
        """Raise a UsageError for settings that the recipe cannot be run with on `device`."""
        ...

    def loss(self, network: nn.Module, batch: ScanBatch, gather: Gather) -> Loss:
        """The loss of a batch, to be minimised.

        Args:
            network: the recipe's own, perhaps wrapped for several processes or mixed precision:
                everything trained must be reached by calling it.
            batch: this process's share.
            gather: see `Gather`.
        """
        ...
