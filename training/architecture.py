"""The encoders there are: their names, how each is built, and which one some weights belong to."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from monai.networks.nets import resnet
from torch import Tensor, nn

from fmtool.errors import InputError, UsageError
from training.vit import PATCH, Shape, ViT

STEM = 64
"""Channels after a residual network's first convolution at width 1."""

MAX_WIDTH = 2.0
"""Bounds what a checkpoint can make us allocate."""

MAX_PATCH = 32
"""The same, in voxels per axis of a patch."""

_RESNETS = {"resnet18": ((2, 2, 2, 2), 8), "resnet50": ((3, 4, 6, 3), 32)}
"""Blocks per layer, and features per stem channel."""

_VITS = {"vit_tiny": (192, 3), "vit_base": (768, 12)}
"""Features and attention heads at width 1."""

_LAYERS = 12
_MLP = 4  # times the features

NAMES = (*_RESNETS, *_VITS)


@dataclass(frozen=True)
class Architecture:
    """What an encoder is, beside its weights.

    Attributes:
        name: one of `NAMES`.
        width: scales the channels of all layers, 1 as published.
        features: of the embedding.
        patch: (z, y, x) voxels of a transformer's patch; None for a residual network.
    """

    name: str
    width: float
    features: int
    patch: Shape | None = None

    def build(self) -> nn.Module:
        """One with fresh weights."""
        return build(self.name, self.width, self.patch)

    def facts(self) -> dict[str, Any]:
        """As JSON: "architecture", "width", "features" and, for a transformer, "patch"."""
        facts = {"architecture": self.name, "width": self.width, "features": self.features}
        return facts if self.patch is None else {**facts, "patch": list(self.patch)}


def build(name: str, width: float, patch: Shape | None) -> nn.Module:
    """See `training.encoders.build`."""
    if name not in NAMES:
        raise UsageError(f"unknown encoder {name!r}; there are {', '.join(NAMES)}")
    if name in _VITS:
        features, heads = _VITS[name]
        step = math.lcm(heads, 6)  # six groups of sines and cosines
        hidden = _scaled(features, width, step)
        return ViT(hidden, _LAYERS, heads, _MLP * hidden, _checked(patch))
    if patch is not None:
        raise UsageError(f"{name} has no patches; only {' and '.join(_VITS)} do")
    _scaled(STEM, width, 1)
    network: nn.Module = getattr(resnet, name)(
        spatial_dims=3,
        n_input_channels=1,
        feed_forward=False,
        shortcut_type="B",
        bias_downsample=True,
        widen_factor=width,
    )
    return network


def describe(encoder: nn.Module) -> Architecture:
    """What an encoder by `build` is."""
    if isinstance(encoder, ViT):
        name = next(name for name, (_, heads) in _VITS.items() if heads == encoder.heads)
        width = encoder.features / _VITS[name][0]
        return Architecture(name, width, encoder.features, encoder.patch)
    return _resnet(encoder.state_dict(keep_vars=True))


def infer(weights: Mapping[str, Tensor], where: str) -> Architecture:
    """What the encoder with these named weights is, from their names and shapes.

    Args:
        weights: an encoder's, by their bare names.
        where: the file they come from, for errors.

    Raises:
        InputError: if they are of none that names and shapes tell.
    """
    stem = weights.get("conv1.weight")
    if stem is None and any(name.endswith("attn.qkv.weight") for name in weights):
        raise InputError(
            f"{where} holds a transformer, whose weights do not say how many heads and which "
            "patch it has; give the encoder's folder, which does"
        )
    if stem is None:
        raise InputError(f"{where} lacks the encoder's conv1.weight; it holds {some(weights)}")
    if stem.ndim != 5 or not 1 <= stem.shape[0] <= STEM * MAX_WIDTH:
        raise InputError(
            f"{where}: conv1.weight has shape {tuple(stem.shape)}; "
            "expected (64, 1, 7, 7, 7), or a scaled width of it"
        )
    found = _resnet(weights)
    blocks, _ = _RESNETS[found.name]
    deep = [
        layer
        for layer, count in enumerate(blocks, 1)
        if any(name.startswith(f"layer{layer}.{count}.") for name in weights)
    ]
    if deep:
        raise InputError(
            f"{where} holds a deeper residual network than {found.name}: its layer{deep[0]} has "
            f"more than {blocks[deep[0] - 1]} blocks; fmtool reads {' and '.join(_RESNETS)}"
        )
    return found


def some(names: Mapping[str, Any] | list[str]) -> str:
    """The first of some names, for a sentence."""
    names = list(names)
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"


def _resnet(weights: Mapping[str, Tensor]) -> Architecture:
    name = "resnet50" if "layer1.0.conv3.weight" in weights else "resnet18"
    channels = weights["conv1.weight"].shape[0]
    return Architecture(name, channels / STEM, _RESNETS[name][1] * channels)


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
