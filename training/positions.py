"""Fixed 3D position embeddings: sines and cosines of each token's place on the grid.

For a token at (z, y, x) and F features, six groups of n = F / 6 features, k = 0 .. n - 1:
sin(y w_k), cos(y w_k), sin(z w_k), cos(z w_k), sin(x w_k), cos(x w_k), with w_k = 10000^(-k / n).
Source: "Attention Is All You Need" (arXiv 1706.03762), per axis as masked autoencoders use it
(arXiv 2111.06377); the groups' order is that of MONAI's `build_sincos_position_embedding`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from fmtool.errors import UsageError

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
