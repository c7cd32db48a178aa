"""The encoders there are: their names, how each is built, and which one some weights belong to."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from functools import partial
from typing import Any

from monai.networks.nets import resnet
from torch import Tensor, nn
from torch.nn import functional

from fmtool.errors import UsageError
from training.encoders import densenet
from training.encoders.densenet import DenseNet
from training.encoders.grid import Gridded
from training.encoders.layout import MAX_PATCH, Dense, Layout, Plain, Residual, Transformer
from training.encoders.own_input import Entered, OwnInput
from training.encoders.sfcn import SFCN
from training.encoders.vit import PATCH, Shape, ViT
from training.encoders.vit_learned import LearnedViT


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


def without_data(network: nn.Module) -> None:
    """Put one wherever MONAI's network has its function."""
    for block in network.modules():
        shortcut = getattr(block, "downsample", None)
        if isinstance(shortcut, partial):
            block.downsample = ZeroShortcut(
                shortcut.keywords["planes"], shortcut.keywords["stride"]
            )


STEM = 64
"""Channels after a residual network's first convolution at width 1."""

MAX_WIDTH = 2.0
"""Bounds what a checkpoint can make us allocate."""

BASIC, BOTTLENECK = 8, 32
"""A residual network's features per stem channel, by the kind of its blocks."""

RESNETS = {
    "resnet10": ((1, 1, 1, 1), BASIC),
    "resnet18": ((2, 2, 2, 2), BASIC),
    "resnet34": ((3, 4, 6, 3), BASIC),
    "resnet50": ((3, 4, 6, 3), BOTTLENECK),
    "resnet101": ((3, 4, 23, 3), BOTTLENECK),
    "resnet152": ((3, 8, 36, 3), BOTTLENECK),
    "resnet200": ((3, 24, 36, 3), BOTTLENECK),
}
"""Blocks per layer, and their kind."""

_VITS = {"vit_tiny": (192, 3), "vit_base": (768, 12)}
"""Features and attention heads at width 1."""

_LAYERS = 12
_MLP = 4  # times the features

IMPORTED: dict[str, type[Transformer | Dense | Plain]] = {
    "vit": Transformer,
    "densenet": Dense,
    "sfcn": Plain,
}
"""What comes from elsewhere, and its layout, which tells its size; "vit" has learned positions."""

NAMES = (*RESNETS, *_VITS, *IMPORTED)

_DILATED = {"layer3": 2, "layer4": 4}


@dataclass(frozen=True)
class Architecture:
    """What an encoder is, beside its weights.

    Attributes:
        name: one of `NAMES`.
        width: scales the channels of all layers, 1 as published.
        features: of the embedding.
        patch: (z, y, x) voxels of a transformer's patch; None for a residual network.
        layout: of an imported encoder; None for upstream's residual networks and our transformers.
        stage: the last of a gridded one, see `training.encoders.grid`; None of a whole network.
        cells: (z, y, x), its.
        histogram: whether it has local histograms, too, see `training.encoders.histogram`.
        own: the input it was trained on, where that is not fmtool's.
    """

    name: str
    width: float
    features: int
    patch: Shape | None = None
    layout: Layout | None = None
    stage: int | None = None
    cells: Shape | None = None
    histogram: bool = False
    own: OwnInput | None = None

    @property
    def cell_count(self) -> int:
        """Cells in all; one unless it is gridded."""
        return math.prod(self.cells or (1,))

    def build(self) -> nn.Module:
        """One with fresh weights."""
        whole = build(self.name, self.width, self.patch, self.layout)
        if self.own is not None:
            return Entered(whole, self.own)
        if self.stage is None or self.cells is None:
            return whole
        return gridded(whole, self.stage, self.cells, self.histogram)

    def facts(self) -> dict[str, Any]:
        """As JSON: "architecture", "width", "features" and whatever else it has."""
        facts = {"architecture": self.name, "width": self.width, "features": self.features}
        if self.patch is not None:
            facts["patch"] = list(self.patch)
        if self.stage is not None and self.cells is not None:
            facts |= {"stage": self.stage, "cells": list(self.cells)}
        if self.histogram:
            facts["histogram"] = True
        if self.layout is not None:
            layout = asdict(self.layout)
            if not layout.get("dilated", True):
                del layout["dilated"]  # said where it is so: earlier folders do not know it
            facts["layout"] = {k: list(v) if isinstance(v, tuple) else v for k, v in layout.items()}
        if self.own is not None:
            facts["input"] = {**asdict(self.own), "shape": list(self.own.shape)}
        return facts


def read(facts: Mapping[str, Any]) -> Architecture:
    """The architecture that `Architecture.facts` described.

    Raises:
        KeyError, TypeError, ValueError, UsageError: if they describe none.
    """
    name, given = facts["architecture"], facts.get("layout")
    kind = IMPORTED.get(name, Residual)
    layout = None if given is None else kind.read(dict(given))
    stage = None if facts.get("stage") is None else int(facts["stage"])
    sides = (_sides(facts.get(key)) for key in ("patch", "cells"))
    patch, cells = sides
    if (stage is None) != (cells is None):
        raise ValueError("stage and cells go together")
    own = OwnInput.read(facts["input"]) if facts.get("input") else None
    if own is not None and stage is not None:
        raise ValueError("a gridded encoder has no input of its own")
    width, features = float(facts["width"]), int(facts["features"])
    histogram = facts.get("histogram") is True
    if histogram and stage is None:
        raise ValueError("a histogram goes with stage and cells")
    return Architecture(name, width, features, patch, layout, stage, cells, histogram, own)


def _sides(given: Any) -> Shape | None:
    if given is None:
        return None
    z, y, x = map(int, given)
    return z, y, x


def gridded(encoder: nn.Module, stage: int, cells: Shape, histogram: bool = False) -> Gridded:
    """See `training.encoders.grid`."""
    if isinstance(encoder, ViT | DenseNet | SFCN | Entered | Gridded):
        raise UsageError(
            "only a whole residual network of fmtool's input can be cut after a stage and gridded"
        )
    return Gridded(encoder, describe(encoder), stage, cells, histogram)


def entered(encoder: nn.Module, own: OwnInput) -> Entered:
    """The same network behind an input of its own.

    Raises:
        UsageError: for a transformer, whose positions were learned or made for its patches.
    """
    if isinstance(encoder, ViT | Gridded | Entered):
        raise UsageError("only a convolutional network can be given another --trained-on")
    return Entered(encoder, own)


def build(name: str, width: float, patch: Shape | None, layout: Layout | None = None) -> nn.Module:
    """See `training.encoders.build`; a layout other than upstream's is an imported encoder's.

    Raises:
        UsageError: for an unknown name, a width that is not possible, or patches of a network that
            has none.
    """
    if isinstance(layout, Transformer):
        return LearnedViT(layout)
    if isinstance(layout, Dense):
        return DenseNet(layout)
    if isinstance(layout, Plain):
        return SFCN(layout)
    if name not in (*RESNETS, *_VITS):
        raise UsageError(f"unknown encoder {name!r}; there are {', '.join((*RESNETS, *_VITS))}")
    if name in _VITS:
        features, heads = _VITS[name]
        step = math.lcm(heads, 6)  # six groups of sines and cosines
        hidden = _scaled(features, width, step)
        return ViT(hidden, _LAYERS, heads, _MLP * hidden, _checked(patch))
    if patch is not None:
        raise UsageError(f"{name} has no patches; only {' and '.join(_VITS)} do")
    _scaled(STEM, width, 1)
    given = asdict(layout or Residual())
    dilated = given.pop("dilated")
    network: nn.Module = getattr(resnet, name)(
        spatial_dims=3, n_input_channels=1, feed_forward=False, widen_factor=width, **given
    )
    if network.no_max_pool:
        network.maxpool = nn.Identity()  # MONAI's own forward pass skips it
    without_data(network)
    if dilated:
        _dilate(network)
    return network


def _dilate(network: nn.Module) -> None:
    for name, step in _DILATED.items():
        for part in network.get_submodule(name).modules():
            if isinstance(part, ZeroShortcut):
                part.stride = 1
            elif isinstance(part, nn.Conv3d):
                part.stride = (1, 1, 1)
                if part.kernel_size != (1, 1, 1):
                    part.dilation = part.padding = (step, step, step)


def describe(encoder: nn.Module) -> Architecture:
    """What an encoder by `build` or `gridded` is."""
    if isinstance(encoder, Gridded):
        of_grid = {name: getattr(encoder, name) for name in ("features", "stage", "cells")}
        return replace(encoder.origin, **of_grid, histogram=encoder.histogram)
    if isinstance(encoder, Entered):  # its patches are of its own voxels, not of the crop's
        return replace(describe(encoder.network), own=encoder.own, patch=None)
    if isinstance(encoder, LearnedViT):
        return Architecture("vit", 1.0, encoder.features, encoder.patch, encoder.layout)
    if isinstance(encoder, DenseNet):
        count = densenet.feature_count(encoder.layout)
        return Architecture("densenet", 1.0, count, None, encoder.layout)
    if isinstance(encoder, SFCN):
        return Architecture("sfcn", 1.0, encoder.layout.channels[-1], None, encoder.layout)
    if isinstance(encoder, ViT):
        name = next(name for name, (_, heads) in _VITS.items() if heads == encoder.heads)
        width = encoder.features / _VITS[name][0]
        return Architecture(name, width, encoder.features, encoder.patch)
    weights = encoder.state_dict(keep_vars=True)
    conv1 = encoder.get_submodule("conv1")
    assert isinstance(conv1, nn.Conv3d)
    layout = Residual.read(
        {
            "conv1_t_size": conv1.kernel_size,
            "conv1_t_stride": conv1.stride,
            "no_max_pool": isinstance(encoder.get_submodule("maxpool"), nn.Identity),
            "shortcut_type": "B" if "layer2.0.downsample.0.weight" in weights else "A",
            "bias_downsample": "layer2.0.downsample.0.bias" in weights,
            "dilated": encoder.get_submodule("layer4.0.conv2").dilation != (1, 1, 1),
        }
    )
    found = residual(weights)
    return found if layout == Residual() else replace(found, layout=layout)


def some(names: Mapping[str, Any] | list[str]) -> str:
    """The first of some names, for a sentence."""
    names = list(names)
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"


def residual(weights: Mapping[str, Tensor]) -> Architecture:
    """The one with as many blocks, else that which is most often meant."""
    kind = BOTTLENECK if "layer1.0.conv3.weight" in weights else BASIC
    usual = "resnet50" if kind == BOTTLENECK else "resnet18"
    blocks = {tuple(name.split(".")[:2]) for name in weights}
    counts = (sum(layer == f"layer{i}" for layer, *_ in blocks) for i in range(1, 5))
    shape = (tuple(counts), kind)
    name = next((name for name, known in RESNETS.items() if known == shape), usual)
    channels = weights["conv1.weight"].shape[0]
    return Architecture(name, channels / STEM, kind * channels)


def _scaled(full: int, width: float, step: int) -> int:
    """`full * width`, if that is a multiple of `step` and small enough."""
    size = full * width
    if not (step <= size <= full * MAX_WIDTH and float(size / step).is_integer()):
        raise UsageError(
            f"encoder width {width:g} is not possible; take a multiple of "
            f"{Fraction(step, full)} up to {MAX_WIDTH:g}"
        )
    return int(size)


def _checked(patch: Shape | None) -> Shape:
    patch = PATCH if patch is None else patch
    if len(patch) != 3 or not all(1 <= side <= MAX_PATCH for side in patch):
        raise UsageError(f"patch {patch} is not possible; take three sides of 1 to {MAX_PATCH}")
    return patch
