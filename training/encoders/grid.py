"""A residual network cut after a stage, whose embedding keeps place: a mean per feature and cell.

With f_c(p) channel c of the map at position p of P, and the positions split into cells k:

    embedding_ck = sum over p in k of f_c(p) / P
    value = sum_ck w_ck embedding_ck + b,     map(p) = sum_c w_c,k(p) f_c(p) + b

so a head's map still has the head's output as its mean, whatever the sizes of the cells, and the
embedding's sum over the cells is what the cut network pools without them. Its channels may be
followed by those of `training.encoders.histogram`.
"""

from __future__ import annotations

import copy
import math
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from fmtool.errors import UsageError
from training.encoders.histogram import LEVELS, local_histogram
from training.encoders.vit import Shape

if TYPE_CHECKING:
    from training.encoders.architecture import Architecture

STAGES = 4
"""Of a residual network; each but the first halves the map and doubles its channels."""

STEM = ("conv1", "bn1", "act", "maxpool")


class Gridded(nn.Module):
    """[B, 1, D, H, W] -> [B, F], F = channels x cells, the cells of a channel side by side.

    Args:
        encoder: a whole residual network, whose first layers are copied, names and all.
        origin: what it is.
        stage: the last that is kept, 1 to `STAGES`.
        cells: of the map along (z, y, x), the channels' places in the embedding.
        histogram: whether local histograms are further channels.

    Raises:
        UsageError: for a stage that there is not, or a cell too few.
    """

    def __init__(
        self,
        encoder: nn.Module,
        origin: Architecture,
        stage: int,
        cells: Shape,
        histogram: bool = False,
    ) -> None:
        super().__init__()
        if not 1 <= stage <= STAGES:
            raise UsageError(f"there is no stage {stage} of {origin.name}; take 1 to {STAGES}")
        if len(cells) != 3 or min(cells) < 1:
            raise UsageError(f"cells {cells} are not possible; take three numbers of 1 or more")
        self.origin, self.stage, self.cells, self.histogram = origin, stage, cells, histogram
        self.channels = origin.features >> (STAGES - stage)
        if histogram:
            self.channels += len(LEVELS)
        for name in (*STEM, *(f"layer{i}" for i in range(1, stage + 1))):
            self.add_module(name, copy.deepcopy(encoder.get_submodule(name)))
        self.train(encoder.training)
        pooled = 1 if isinstance(self.get_submodule("maxpool"), nn.Identity) else 2
        firsts = [encoder.get_submodule(f"layer{i}.0") for i in range(1, stage + 1)]
        strides = {_stride(self.get_submodule("conv1"), axis) for axis in range(3)}
        if histogram and len(strides) > 1:
            raise UsageError("local histograms need a first convolution of one stride on all axes")
        # Dilated stages do not halve the map.
        self._stride = max(strides) * pooled * math.prod(_stride(block) for block in firsts)

    @property
    def features(self) -> int:
        """F."""
        return self.channels * math.prod(self.cells)

    def forward(self, volume: Tensor) -> Tensor:
        """The embedding."""
        maps = volume
        for layer in self.children():
            maps = layer(maps)
        return self.pool(self.beside(volume, maps))

    def beside(self, volume: Tensor, maps: Tensor) -> Tensor:
        """What the layers made of a volume, and its local histograms where there are some."""
        if not self.histogram:
            return maps
        d, h, w = maps.shape[2:]
        return torch.cat([maps, local_histogram(volume, self._stride, (d, h, w))], 1)

    def pool(self, maps: Tensor) -> Tensor:
        """[B, C, d, h, w] -> [B, F]: sums within the cells, over the number of all positions."""
        count = math.prod(maps.shape[2:])
        for axis, cells in zip((2, 3, 4), self.cells, strict=True):
            parts = maps.split(sizes(maps.shape[axis], cells), axis)
            maps = torch.cat([part.sum(axis, keepdim=True) for part in parts], axis)
        return (maps * (1.0 / count)).flatten(1)

    def weigh(self, maps: Tensor, weight: Tensor) -> Tensor:
        """[B, C, d, h, w] and a head's (F,) -> [B, 1, d, h, w]: w of a position's cell times f.

        The weights are laid on the grid one z of cells at a time: on the whole map they would be
        as large as a volume's activations.
        """
        grid = weight.reshape(1, self.channels, *self.cells)
        for axis in (3, 4):
            cells = sizes(maps.shape[axis], self.cells[axis - 2])
            place = [k for k, size in enumerate(cells) for _ in range(size)]
            grid = grid.index_select(axis, torch.tensor(place, device=maps.device))
        parts = maps.split(sizes(maps.shape[2], self.cells[0]), 2)
        rows = zip(parts, grid.split(1, 2), strict=True)
        return torch.cat([(part * w).sum(1, keepdim=True) for part, w in rows], 2)


def _stride(part: nn.Module, axis: int = 0) -> int:
    """The largest of a layer's, or of a block's convolutions."""
    return max(int(m.stride[axis]) for m in part.modules() if isinstance(m, nn.Conv3d))


def sizes(positions: int, cells: int) -> list[int]:
    """How many positions each cell of an axis has: as equal as can be, and alike from both ends.

    Raises:
        UsageError: if there are fewer positions than cells.
    """
    if cells > positions:
        raise UsageError(
            f"{cells} cells do not fit the {positions} positions of the map's axis; take fewer "
            "cells or an earlier stage"
        )
    edges = [round(positions * i / cells) for i in range(cells + 1)]
    return [after - before for before, after in pairwise(edges)]
