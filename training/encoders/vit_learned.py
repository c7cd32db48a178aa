"""A vision transformer whose positions were learned, as MONAI's `ViT` and `ViTAutoEnc` have them.

Its volumes need not be whole numbers of patches: they are padded with zeros, which is what a
z-scored volume is outside the brain. Where the grid is not the one its positions were learned on,
these are interpolated linearly (arXiv 2010.11929, section 3.2, in three dimensions).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.encoders.layout import Transformer
from training.encoders.vit import Shape, ViT


class LearnedViT(ViT):
    """[B, 1, D, H, W] -> [B, F]; the embedding is the mean over patches, the class token left out.

    Attributes:
        layout: what it was built from.
        positions: (T, F) of the tokens of `layout.grid`.
        class_token: (1, 1, F), beside the patches in attention; None without one.
    """

    def __init__(self, layout: Transformer) -> None:
        features = layout.hidden_size
        super().__init__(
            features, layout.num_layers, layout.num_heads, layout.mlp_dim, layout.patch_size
        )
        self.layout = layout
        self.positions = nn.Parameter(torch.zeros(math.prod(layout.grid), features))
        token = nn.Parameter(torch.zeros(1, 1, features)) if layout.classification else None
        self.class_token = token

    def feature_map(self, volume: Tensor, again: bool = False) -> Tensor:
        """[B, F, d, h, w], a position per patch of the padded volume."""
        return super().feature_map(padded(volume, self.patch), again)

    def places(self, grid: Shape, device: torch.device) -> Tensor:
        """The positions (T, F) of all tokens of a grid, on the network's own device."""
        if grid == self.layout.grid:
            return self.positions
        return interpolated(self.positions, self.layout.grid, grid)

    def encode(self, embedded: Tensor, places: Tensor, again: bool = False) -> Tensor:
        """Tokens (B, T, F) of embedded patches at their places; the class token has none."""
        if self.class_token is None:
            return super().encode(embedded, places, again)
        token = self.class_token.expand(embedded.shape[0], -1, -1)
        places = functional.pad(places, (0, 0, 1, 0))
        return super().encode(torch.cat((token, embedded), dim=1), places, again)[:, 1:]


def interpolated(positions: Tensor, learned: Shape, grid: Shape) -> Tensor:
    """Positions (T, F) of one grid's tokens -> those of another's, over the same volume."""
    found = positions.T.unflatten(1, learned)[None]
    return functional.interpolate(found, grid, mode="trilinear")[0].flatten(1).T


def padded(volume: Tensor, patch: Shape) -> Tensor:
    """The volume with zeros around it, as much before as after, up to whole patches."""
    missing = [-n % p for n, p in zip(volume.shape[-3:], patch, strict=True)]
    sides = [side for n in reversed(missing) for side in (n // 2, n - n // 2)]
    return functional.pad(volume, sides) if any(sides) else volume
