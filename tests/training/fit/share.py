"""One SimCLR step in as many processes as there are; see test_processes.py.

python share.py BATCH PROCESSES OUT
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from torch import nn

from training.augment import SimCLRAugment
from training.fit import devices
from training.fit.data import ScanDataset
from training.fit.loop import Loop
from training.fit.settings import Settings
from training.simclr import SimCLR


class Plain(nn.Module):
    """An encoder without BatchNorm, whose statistics a CPU cannot share between processes."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(512, 16), nn.Tanh())
        self.projector = nn.Linear(16, 8)

    def forward(self, views: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        embeddings = self.encoder(views)
        return embeddings, self.projector(embeddings)


def main(batch: int, processes: int, out: Path) -> None:
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    volumes = [rng.normal(size=(8, 8, 8)).astype(np.float32) for _ in range(4)]
    mask = np.ones((8, 8, 8), dtype=np.bool_)
    scans = ScanDataset(
        [SimpleNamespace(volume=v, mask=mask, facts={"digest": ""}) for v in volumes]
    )
    recipe = SimCLR(width=0.03125, augment=SimCLRAugment((8, 8, 8), (6, 6, 6)))
    recipe.network = Plain()
    settings = Settings(epochs=3, batch=batch, devices=processes, device="cpu")
    losses = []
    fabric = devices.launch(settings)
    loop = Loop(fabric, recipe, scans, settings, out / "run")
    loop.run(lambda epoch, means, record: losses.append(means["loss"]) or {})
    found = {
        "losses": torch.tensor(losses),
        **{f"gradient {n}": p.grad for n, p in recipe.network.named_parameters()},
        **recipe.network.state_dict(),
    }
    torch.save(found, out / f"rank{fabric.global_rank}.pt")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
