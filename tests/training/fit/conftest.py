from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from lightning.fabric import Fabric
from torch import nn

from training.fit.data import ScanDataset
from training.fit.recipe import Gather, Loss, ScanBatch
from training.fit.settings import Settings


class Pair(NamedTuple):
    """A prepared scan in memory."""

    volume: np.ndarray
    mask: np.ndarray
    facts: dict[str, Any]


class Toy:
    """A recipe small enough to follow: the mean voxel of noisy scans, through dropout."""

    name = "toy"

    def __init__(self, seed: int = 0) -> None:
        torch.manual_seed(seed)
        encoder = nn.Sequential(nn.Flatten(), nn.Linear(27, 8), nn.Dropout(0.5), nn.Linear(8, 1))
        self.network: nn.Module = nn.ModuleDict({"encoder": encoder})
        self.network.forward = encoder.forward  # type: ignore[method-assign]
        self.seed = seed

    def describe(self) -> dict[str, Any]:
        return {"seed": self.seed}

    def check(self, settings: Settings, device: torch.device) -> None:
        del settings, device

    def loss(self, network: nn.Module, batch: ScanBatch, gather: Gather) -> Loss:
        del gather
        noise = torch.stack(
            [torch.randn(3, 3, 3, generator=batch.generator(i)) for i in range(len(batch.indices))]
        )
        found = network(batch.volumes + 0.1 * noise)[:, 0]
        return Loss(
            (found - batch.labels).square().mean(), {"epoch_seen": torch.tensor(batch.epoch)}
        )


def make_scans(count: int = 7) -> ScanDataset:
    rng = np.random.default_rng(3)
    volumes = [rng.normal(size=(3, 3, 3)).astype(np.float32) for _ in range(count)]
    mask = np.ones((3, 3, 3), dtype=np.bool_)
    entries = [Pair(volume, mask, {"digest": str(i)}) for i, volume in enumerate(volumes)]
    return ScanDataset(entries, [float(v.mean()) for v in volumes])


@pytest.fixture
def toy() -> type[Toy]:
    return Toy


@pytest.fixture
def scans() -> ScanDataset:
    return make_scans()


@pytest.fixture(scope="session")
def fabric() -> Fabric:
    found = Fabric(accelerator="cpu", devices=1)
    found.launch()
    return found
