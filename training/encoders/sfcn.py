"""The simple fully convolutional network of brain age (SFCN).

Source: Peng, Gong, Beckmann, Vedaldi, Smith, "Accurate brain age prediction with lightweight deep
neural networks", Medical Image Analysis 68, 2021, 101871, figure 1. Blocks of 3x3x3, then one of
1x1x1:

    x = relu(maxpool2(norm(W_i x + b_i))), i = 0 .. 4;   x = relu(norm(W_5 x + b_5))

The embedding is the mean of the last map, which the paper's last layer turns into age bins. Names
are those of the published weights: `feature_extractor.conv_I.0` the convolution, `.1` the norm.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from training.encoders.layout import Plain
from training.encoders.stem import recomputed


class SFCN(nn.Module):
    """[B, 1, D, H, W] -> [B, F], F the last block's channels.

    Attributes:
        layout: what it was built from.
    """

    def __init__(self, layout: Plain) -> None:
        super().__init__()
        self.layout = layout
        self.feature_extractor = nn.Sequential()
        sides = list(pairwise((1, *layout.channels)))
        for i, (before, after) in enumerate(sides):
            last = i == len(sides) - 1
            block = nn.Sequential(
                nn.Conv3d(before, after, 1 if last else 3, padding=0 if last else 1),
                nn.BatchNorm3d(after),
                *(() if last else (nn.MaxPool3d(2),)),
                nn.ReLU(),
            )
            self.feature_extractor.add_module(f"conv_{i}", block)

    def forward(self, volume: Tensor) -> Tensor:
        """The embedding."""
        return self.feature_map(volume).mean(dim=(2, 3, 4))

    def feature_map(self, volume: Tensor, again: bool = False) -> Tensor:
        """[B, F, d, h, w]; `again`: recompute activations when training."""
        for block in self.feature_extractor:
            volume = recomputed(block, volume) if again else block(volume)
        return volume
