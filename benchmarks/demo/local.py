"""SimCLR within places: which head a place is of, told among others' same place.

Heads are registered, so a crop at one place shows the same anatomy of every head. Of N heads, two
views each of the same crop go through the encoder; with z_ik the projection of view i's cell k:

    loss = mean over cells k of NT-Xent(z_1k .. z_2N,k)          see `training.simclr`

Cells without brain in some view do not count. The projector is the same for all cells.

A view differs from its head by up to three voxels of shift, a monotone curve, gain, offset and a
linear field of the z-scores, a blur or a resampling to 2 mm and back (a fit's heads are of 2 mm, a
site's of 1 mm), and noise. The two views of a head are mirrored together, or not.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from training import encoders
from training.augment.intensity import Intensity
from training.encoders.grid import Gridded
from training.fit.recipe import Gather, Loss, ScanBatch
from training.fit.settings import Settings
from training.runs import collapse
from training.simclr import nt_xent

CELL = 16
"""Voxels."""

BOX = (48, 64, 64)
"""Voxels of a crop along (z, y, x), whole cells."""

TEMPERATURE = 0.2
SHIFT = 3  # voxels
BRAIN = 0.4  # the least share of a cell
_CHANGES = Intensity(blur=1.2, noise=0.3, probability=0.6)


class LocalNetwork(nn.Module):
    """Gridded encoder and projector: crops (B, 1, z, y, x) -> projections (cells, B, 64)."""

    def __init__(self, encoder: Gridded) -> None:
        super().__init__()
        self.encoder = encoder
        self.projector = nn.Sequential(
            nn.Linear(encoder.channels, 128, bias=False), nn.ReLU(), nn.Linear(128, 64, bias=False)
        )

    def forward(self, crops: Tensor) -> Tensor:
        """See the class."""
        cells = self.encoder(crops).unflatten(1, (self.encoder.channels, -1))
        # The embedding's cells are shares of the whole map: back to means over each.
        projections: Tensor = self.projector(cells.permute(2, 0, 1) * cells.shape[2])
        return projections


class LocalSimCLR:
    """The recipe.

    Args:
        encoder: a residual network, whole; trained is a copy of its first stages.
        stage: the last of them.
    """

    name = "local-simclr"

    def __init__(self, encoder: nn.Module, stage: int) -> None:
        z, y, x = (side // CELL for side in BOX)
        gridded = encoders.gridded(encoder, stage, (z, y, x))
        assert isinstance(gridded, Gridded)
        self.network: nn.Module = LocalNetwork(gridded)
        self._scales: dict[int, tuple[float, float]] = {}

    def describe(self) -> dict[str, Any]:
        """See `training.fit.recipe.Recipe`."""
        facts = encoders.describe(self.network.get_submodule("encoder")).facts()
        return {"encoder": facts, "box": BOX, "cell": CELL, "temperature": TEMPERATURE}

    def check(self, settings: Settings, device: torch.device) -> None:
        """Anything goes."""

    def loss(self, network: nn.Module, batch: ScanBatch, gather: Gather) -> Loss:
        """See the module; one process alone."""
        del gather
        place, count = batch.generator(0, 2), len(batch.indices)
        corner = [
            int(torch.randint(n - side + 1, (1,), generator=place))
            for n, side in zip(batch.volumes.shape[1:], BOX, strict=True)
        ]
        mirrored = bool(torch.rand(1, generator=place) < 0.5)
        views, inside = [], []
        for half in (0, 1):
            for i in range(count):
                volume, mask = batch.volumes[i], batch.masks[i]
                mean, deviation = self._scale(batch.indices[i], volume, mask)
                source = batch.generator(i, half)
                box = _box(corner, volume.shape, source)
                crop, brain = (volume[box] - mean) / deviation, mask[box].float()
                if mirrored:
                    crop, brain = crop.flip(-1), brain.flip(-1)
                views.append(changed(crop * brain, source) * brain)
                inside.append(brain)
        share = functional.avg_pool3d(torch.stack(inside)[:, None], CELL).flatten(1)
        kept = (share > BRAIN).all(0)
        crops = torch.stack(views)[:, None]
        z = network(crops.to(memory_format=torch.channels_last_3d)).float()
        if not bool(kept.any()):  # outside every brain: nothing to tell apart
            return Loss(0.0 * z.sum(), {"projection_uniformity": z.new_zeros(())})
        cells = [cell.split(count) for cell in z[kept]]
        value = torch.stack([nt_xent(one, two, TEMPERATURE) for one, two in cells]).mean()
        with torch.no_grad():
            spread = torch.stack([collapse.uniformity(one, two) for one, two in cells]).mean()
        chance = math.log(2 * count - 1)
        facts = {"projection_uniformity": spread, "of_chance": value.detach() / chance}
        return Loss(value, facts)

    def _scale(self, index: int, volume: Tensor, mask: Tensor) -> tuple[float, float]:
        """The mean and deviation of a head's brain, found once."""
        if index not in self._scales:
            brain = volume[mask]
            self._scales[index] = float(brain.mean()), float(brain.std(correction=0)) or 1.0
        return self._scales[index]


def _box(corner: list[int], shape: torch.Size, source: Generator) -> tuple[slice, ...]:
    """A crop near a corner, inside the head's volume."""
    moved = torch.randint(-SHIFT, SHIFT + 1, (3,), generator=source).tolist()
    starts = [
        min(max(at + by, 0), n - side)
        for at, by, n, side in zip(corner, moved, shape, BOX, strict=True)
    ]
    return tuple(slice(a, a + side) for a, side in zip(starts, BOX, strict=True))


def changed(crop: Tensor, source: Generator) -> Tensor:
    """A crop of z-scores (z, y, x) of other intensities and resolution; see the module."""
    u = torch.rand(8, generator=source, dtype=torch.float64).tolist()
    # On [0, 1] for z-scores of -3 to 3; the curve keeps the middle where it was.
    unit = ((crop + 3.0) / 6.0).clamp_(1e-3, 2.0)
    curve = 0.6 + 0.9 * u[0]
    found = 6.0 * (unit**curve - 0.5**curve) * (0.9 + 0.2 * u[1]) + 0.4 * (u[2] - 0.5)
    for axis, size in enumerate(crop.shape):
        ramp = torch.linspace(-1.0, 1.0, size) * 0.5 * (u[3 + axis] - 0.5)
        found = found + (found + 3.0) * ramp.reshape([-1 if a == axis else 1 for a in range(3)])
    if u[6] < 0.4:
        coarse = functional.avg_pool3d(found[None, None], 2)
        found = functional.interpolate(coarse, crop.shape, mode="trilinear")[0, 0]
    return _CHANGES(found, torch.ones_like(found), source)
