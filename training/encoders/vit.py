"""A vision transformer over the patches of a volume (ViT, arXiv 2010.11929, in three dimensions).

A volume is cut into patches; each is a token, embedded linearly, with its fixed position added:

    t = W patch + b + position;  per block: t += attention(norm(t)); t += MLP(norm(t))

The embedding is the mean over tokens after a last norm. There is no class token, so that the mean
of the feature map is the embedding, as for the residual networks.
"""

from __future__ import annotations

import torch
from monai.networks.blocks.mlp import MLPBlock
from torch import Tensor, nn
from torch.nn import functional

from fmtool.errors import UsageError
from training.encoders.stem import recomputed

TEMPERATURE = 10000.0


def sincos(
    grid: tuple[int, int, int], features: int, device: torch.device | str | None = None
) -> Tensor:
    """Float32 (z * y * x, features), tokens in the order of a flattened (z, y, x) grid.

    Args:
        grid: tokens along (z, y, x); any size, so that a network serves views of any size.
        features: a multiple of six.
        device: where to compute it.

    Raises:
        UsageError: for another number of features.
    """
    if features % 6:
        raise UsageError(f"3D positions need a multiple of six features, not {features}")
    count = features // 6
    rates = TEMPERATURE ** -(torch.arange(count, dtype=torch.float32, device=device) / count)
    axes = [torch.arange(n, dtype=torch.float32, device=device) for n in grid]
    z, y, x = (place.flatten()[:, None] * rates for place in torch.meshgrid(*axes, indexing="ij"))
    return torch.cat([wave(angle) for angle in (y, z, x) for wave in (torch.sin, torch.cos)], dim=1)


Shape = tuple[int, int, int]

PATCH: Shape = (15, 16, 16)
"""(z, y, x) voxels of a patch: the model's crop of 150x192x192 is 10x12x12 patches of these."""


class Attention(nn.Module):
    """Multi-head self-attention, (B, T, F) -> (B, T, F); parameters named as MONAI's `SABlock`.

    Not MONAI's own, whose transformer block carries cross-attention weights in some versions and
    not in others: an encoder's file would be bound to a version of MONAI.
    """

    def __init__(self, features: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(features, 3 * features)
        self.out_proj = nn.Linear(features, features)

    def forward(self, tokens: Tensor) -> Tensor:
        """Each token's mixture of all tokens' values."""
        q, k, v = self.qkv(tokens).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(q, k, v)
        return self.out_proj(mixed.transpose(1, 2).flatten(2))


class TransformerBlock(nn.Module):
    """Attention and MLP, each on normalised tokens and added to them."""

    def __init__(self, features: int, heads: int, mlp: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(features)
        self.attn = Attention(features, heads)
        self.norm2 = nn.LayerNorm(features)
        self.mlp = MLPBlock(features, mlp)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, T, F) -> (B, T, F)."""
        tokens = tokens + self.attn(self.norm1(tokens))
        return tokens + self.mlp(self.norm2(tokens))


class ViT(nn.Module):
    """[B, 1, D, H, W] -> [B, F] for any volume that is a whole number of patches.

    Attributes:
        features: F.
        heads: of each block's attention.
        patch: (z, y, x) voxels.
    """

    def __init__(self, features: int, layers: int, heads: int, mlp: int, patch: Shape) -> None:
        super().__init__()
        self.features, self.heads, self.patch = features, heads, patch
        self.embed = nn.Conv3d(1, features, patch, stride=patch)
        self.blocks = nn.ModuleList(TransformerBlock(features, heads, mlp) for _ in range(layers))
        self.norm = nn.LayerNorm(features)
        self.apply(initialise)

    def forward(self, volume: Tensor) -> Tensor:
        """The mean over tokens."""
        return self.feature_map(volume).mean(dim=(2, 3, 4))

    def feature_map(self, volume: Tensor, again: bool = False) -> Tensor:
        """[B, F, d, h, w], a position per patch; `again`: recompute activations when training."""
        grid = grid_of(volume.shape, self.patch)
        embedded = self.embed(volume).flatten(2).transpose(1, 2)
        tokens = self.encode(embedded, self.places(grid, volume.device), again)
        return tokens.transpose(1, 2).unflatten(2, grid)

    def embed_patches(self, patches: Tensor) -> Tensor:
        """Any patches (B, T, voxels) -> (B, T, F): the convolution's sums, at these places only."""
        return functional.linear(patches, self.embed.weight.flatten(1), self.embed.bias)

    def places(self, grid: Shape, device: torch.device) -> Tensor:
        """The positions (T, F) of all tokens of a grid."""
        return sincos(grid, self.features, device)

    def encode(self, embedded: Tensor, places: Tensor, again: bool = False) -> Tensor:
        """Tokens (B, T, F) of any embedded patches (B, T, F) at their places, (B,) T, F."""
        tokens = embedded + places
        for block in self.blocks:
            tokens = recomputed(block, tokens) if again else block(tokens)
        return self.norm(tokens)


def grid_of(shape: torch.Size, patch: Shape) -> Shape:
    """Patches along (z, y, x) of a volume whose last three axes these are.

    Raises:
        UsageError: if they are not whole numbers of patches.
    """
    size = tuple(shape[-3:])
    if any(n < p or n % p for n, p in zip(size, patch, strict=True)):
        raise UsageError(
            f"a volume of {_by(size)} voxels is not a whole number of patches of {_by(patch)}; "
            f"give views whose sides are multiples of {_by(patch)}"
        )
    return size[0] // patch[0], size[1] // patch[1], size[2] // patch[2]


def patchify(volume: Tensor, patch: Shape) -> Tensor:
    """[B, 1, D, H, W] -> (B, T, voxels): patches and their voxels both in (z, y, x) order."""
    (d, h, w), (pz, py, px) = grid_of(volume.shape, patch), patch
    split = volume.reshape(-1, d, pz, h, py, w, px).permute(0, 1, 3, 5, 2, 4, 6)
    return split.reshape(-1, d * h * w, pz * py * px)


def initialise(layer: nn.Module) -> None:
    """Weights as masked autoencoders start (arXiv 2111.06377): Xavier uniform, biases zero."""
    if isinstance(layer, nn.Linear | nn.Conv3d):
        nn.init.xavier_uniform_(layer.weight.detach().flatten(1))  # the same memory
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


def _by(sizes: tuple[int, ...]) -> str:
    return "x".join(map(str, sizes))
