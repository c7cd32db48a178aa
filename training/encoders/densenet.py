"""A DenseNet (arXiv 1608.06993) in three dimensions: MONAI's, in its layout and its names.

    x = pool(relu(norm(W x)));  per layer: x = (x, W2 relu(norm(W1 relu(norm(x)))))

and between two blocks half of the channels, averaged over 2x2x2 positions. The embedding is the
mean of `relu(features(x))`, which MONAI's last linear layer reads.
"""

from __future__ import annotations

from dataclasses import asdict

from monai.networks.nets import densenet
from torch import Tensor, nn
from torch.nn import functional

from training.encoders.layout import Dense
from training.encoders.stem import recomputed

_FOLDED = ("norm0", "norm2")  # these follow a convolution, which takes them up in an export


class ScaledNorm(nn.BatchNorm3d):
    """BatchNorm that evaluates as a product and a sum: no convolution before it takes it up."""

    def forward(self, input: Tensor) -> Tensor:
        """(B, C, d, h, w) -> the same shape."""
        if self.training or self.running_var is None or self.running_mean is None:
            return super().forward(input)
        scale = self.weight * (self.running_var + self.eps).rsqrt()
        shift = self.bias - self.running_mean * scale
        return input * scale[:, None, None, None] + shift[:, None, None, None]


class DenseNet(densenet.DenseNet):
    """[B, 1, D, H, W] -> [B, F], for volumes of any size that its five halvings leave something of.

    Attributes:
        layout: what it was built from.
    """

    def __init__(self, layout: Dense) -> None:
        super().__init__(spatial_dims=3, in_channels=1, out_channels=1, **asdict(layout))
        del self.class_layers
        self.layout = layout
        for part in list(self.modules()):
            for name, norm in list(part.named_children()):
                if isinstance(norm, nn.BatchNorm3d) and name not in _FOLDED:
                    setattr(part, name, ScaledNorm(norm.num_features, norm.eps))

    def forward(self, x: Tensor) -> Tensor:
        """The embedding."""
        return self.feature_map(x).mean(dim=(2, 3, 4))

    def feature_map(self, volume: Tensor, again: bool = False) -> Tensor:
        """[B, F, d, h, w]; `again`: recompute activations when training."""
        for name, stage in self.features.named_children():
            kept = again and name.startswith(("denseblock", "transition"))
            volume = recomputed(stage, volume) if kept else stage(volume)
        return functional.relu(volume)


def feature_count(layout: Dense) -> int:
    """F."""
    features = layout.init_features
    for i, layers in enumerate(layout.block_config):
        features = (features if i == 0 else features // 2) + layers * layout.growth_rate
    return features
