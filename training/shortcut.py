"""A residual network's shortcut without weights: strided, new channels zero (arXiv 1512.03385, A).

MONAI's own is a function that takes `tensor.data`: no gradient passes, and torch cannot export it.
"""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn
from torch.nn import functional


class ZeroShortcut(nn.Module):
    """[B, C, D, H, W] -> [B, planes, ceil(D / stride), ...]; the same values as MONAI's."""

    def __init__(self, planes: int, stride: int) -> None:
        super().__init__()
        self.planes, self.stride = planes, stride

    def forward(self, volume: Tensor) -> Tensor:
        """Every `stride`-th voxel, and channels of zeros behind."""
        n = self.stride
        kept = volume[:, :, ::n, ::n, ::n]
        return functional.pad(kept, (0, 0, 0, 0, 0, 0, 0, self.planes - kept.shape[1]))


def replace(network: nn.Module) -> None:
    """Put one wherever MONAI's network has its function."""
    for block in network.modules():
        shortcut = getattr(block, "downsample", None)
        if isinstance(shortcut, partial):
            block.downsample = ZeroShortcut(
                shortcut.keywords["planes"], shortcut.keywords["stride"]
            )
