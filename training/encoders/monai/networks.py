"""MONAI's networks that make an encoder: their arguments -> architecture, their names -> ours.

The list is closed: a network is recognised by its name and described by plain values, and what an
argument changes is either kept exactly or refused by that argument's name.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Set
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from fmtool import space
from fmtool.errors import UsageError
from training.encoders import densenet
from training.encoders.architecture import (
    BASIC,
    BOTTLENECK,
    MAX_WIDTH,
    RESNETS,
    STEM,
    Architecture,
)
from training.encoders.layout import Dense, Residual, Transformer
from training.encoders.vit import Shape
from training.encoders.vit_learned import interpolated

Arguments = dict[str, Any]
Tensors = dict[str, Tensor]

_FILES = ("", ".resnet", ".vit", ".vitautoenc", ".densenet")
_PREFIXES = ("", *(f"monai.networks.nets{file}" for file in _FILES))
_BLOCKS = {"basic": BASIC, "bottleneck": BOTTLENECK}
_DENSENETS = {
    "densenet121": (6, 12, 24, 16),
    "densenet169": (6, 12, 32, 32),
    "densenet201": (6, 12, 48, 32),
    "densenet264": (6, 12, 64, 48),
}
_PLANES = [STEM, 2 * STEM, 4 * STEM, 8 * STEM]
_RESIDUAL = Residual.__dataclass_fields__.keys() - {"dilated"}  # which MONAI's has not
_OWN_RESNET = {"spatial_dims", "n_input_channels", "widen_factor", "act", "norm"}
_OWN_DENSE = {"spatial_dims", "in_channels", "act", "norm"}
_OWN_VIT = {"spatial_dims", "in_channels", "proj_type", "pos_embed", "pos_embed_type", "qkv_bias"}
_NO_MATTER = {
    "resnet": {"num_classes", "feed_forward", "pretrained", "progress"},
    "densenet": {"out_channels", "dropout_prob", "pretrained", "progress"},
    "vit": {"num_classes", "post_activation", "dropout_rate", "save_attn"},
    "vitautoenc": {"out_channels", "deconv_chns", "dropout_rate", "save_attn"},
}
"""Arguments of the layers that are dropped, or without effect on an embedding."""

_DROPPED = ("fc.", "class_layers.", "classification_head.", "conv3d_transpose")
_UNUSED = (".norm_cross_attn.", ".cross_attn.")  # of no part in a pass; some versions store them


class Network(NamedTuple):
    """What a bundle's network is here.

    Attributes:
        architecture: of its encoder.
        rename: the network's tensors by the encoder's names.
    """

    architecture: Architecture
    rename: Callable[[Tensors], Tensors]


def recognise(target: str, arguments: Arguments) -> Network:
    """The encoder in the network that `target` names.

    Raises:
        UsageError: if it is none of those that can be imported, or an argument is refused.
    """
    prefix, _, name = target.rpartition(".")
    if prefix in _PREFIXES and (name == "ResNet" or name in RESNETS):
        return Network(_resnet(name, arguments), dict)
    if prefix in _PREFIXES and name in ("ViT", "ViTAutoEnc"):
        return _vit(name.lower(), arguments)
    if prefix in _PREFIXES and name.lower() in ("densenet", *_DENSENETS):
        return Network(_densenet(name.lower(), arguments), dict)
    raise UsageError(
        f"{target!r:.80} is not among the networks that can be imported: monai.networks.nets' "
        f"ResNet, {', '.join(RESNETS)}, ViT, ViTAutoEnc, DenseNet and {', '.join(_DENSENETS)}"
    )


def dropped(name: str) -> bool:
    """Whether a tensor belongs to the layers after the embedding, or to none that is used."""
    return name.startswith(_DROPPED) or any(part in name for part in _UNUSED)


def _resnet(name: str, given: Arguments) -> Architecture:
    general = {"block", "layers", "block_inplanes"} if name == "ResNet" else set()
    _known(given, _RESIDUAL | _OWN_RESNET | general, "resnet")
    _only(given, "spatial_dims", 3, 3)
    _only(given, "n_input_channels", 3, 1)
    _only({"act": _relu(given.get("act", "relu"))}, "act", None, "relu")
    _only(given, "norm", "batch", "batch")
    if name == "ResNet":
        _only(given, "block_inplanes", None, _PLANES)
        wanted = (_tuple(given.get("layers")), _BLOCKS.get(str(given.get("block"))))
        name = next((known for known, blocks in RESNETS.items() if blocks == wanted), "")
        if not name:
            raise UsageError(
                f"its block {given.get('block')!r:.60} with layers {given.get('layers')!r:.60} is "
                f"none of {', '.join(RESNETS)}"
            )
    width = given.get("widen_factor", 1.0)
    if isinstance(width, bool) or not isinstance(width, int | float) or not 0 < width <= MAX_WIDTH:
        raise UsageError(f"its widen_factor {width!r:.60} is not a number up to {MAX_WIDTH:g}")
    layout = Residual.read(given)
    kept = None if layout == Residual() else layout
    return Architecture(name, float(width), round(STEM * width) * RESNETS[name][1], None, kept)


def _densenet(name: str, given: Arguments) -> Architecture:
    _known(given, Dense.__dataclass_fields__.keys() | _OWN_DENSE, "densenet")
    _only(given, "spatial_dims", None, 3)
    _only(given, "in_channels", None, 1)
    _only({"act": _relu(given.get("act", "relu"))}, "act", None, "relu")
    _only(given, "norm", "batch", "batch")
    layout = Dense.read({"block_config": _DENSENETS.get(name, Dense.block_config), **given})
    return Architecture("densenet", 1.0, densenet.feature_count(layout), None, layout)


def _vit(name: str, given: Arguments) -> Network:
    own = set(Transformer.__dataclass_fields__) | _OWN_VIT
    _known(given, own - ({"classification"} if name == "vitautoenc" else set()), name)
    _only(given, "spatial_dims", 3, 3)
    _only(given, "in_channels", None, 1)
    missing = [name for name in ("img_size", "patch_size") if name not in given]
    if missing:
        raise UsageError(f"it says no {missing[0]}")
    layout, bare = Transformer.read(given), given.get("qkv_bias", False) is False
    z, y, x = (-(-n // p) * p for n, p in zip(space.CROP_SHAPE, layout.patch_size, strict=True))
    ours = replace(layout, img_size=(z, y, x))
    found = Architecture("vit", 1.0, ours.hidden_size, ours.patch_size, ours)
    return Network(found, lambda tensors: vit_names(tensors, layout, ours.grid, bare))


def vit_names(tensors: Tensors, layout: Transformer, grid: Shape, bare: bool) -> Tensors:
    """The tensors of MONAI's `ViT` by the names of `LearnedViT`, its positions on another grid.

    Args:
        tensors: by MONAI's names.
        layout: what they were learned with.
        grid: (z, y, x) patches of the volumes to come.
        bare: whether its attention has no biases.

    Raises:
        UsageError: if the positions are not the layout's.
    """
    names = {
        "patch_embedding.patch_embeddings.weight": "embed.weight",
        "patch_embedding.patch_embeddings.bias": "embed.bias",
        "patch_embedding.patch_embeddings.1.weight": "embed.weight",  # proj_type "perceptron"
        "patch_embedding.patch_embeddings.1.bias": "embed.bias",
        "patch_embedding.position_embeddings": "positions",
        "cls_token": "class_token",
    }
    found = {names.get(name, name): tensor for name, tensor in tensors.items()}
    weight, positions = found.get("embed.weight"), found.get("positions")
    if weight is not None and weight.ndim == 2:  # a linear layer over a patch's voxels
        size = (layout.hidden_size, 1, *layout.patch_size)
        if weight.shape == torch.Size((layout.hidden_size, math.prod(layout.patch_size))):
            found["embed.weight"] = weight.reshape(size)
    if positions is not None:
        wanted = (1, math.prod(layout.grid), layout.hidden_size)
        if positions.shape != torch.Size(wanted):
            raise UsageError(
                f"its position_embeddings have shape {tuple(positions.shape)}; img_size, "
                f"patch_size and hidden_size make them {wanted}"
            )
        found["positions"] = interpolated(positions[0].float(), layout.grid, grid).contiguous()
    if bare:  # a bias of zero is none
        for block in range(layout.num_layers):
            found.setdefault(f"blocks.{block}.attn.qkv.bias", torch.zeros(3 * layout.hidden_size))
    return found


def _known(given: Arguments, own: Set[str], kind: str) -> None:
    unknown = sorted(given.keys() - own - _NO_MATTER[kind])
    if unknown:
        raise UsageError(f"its argument {unknown[0]} is not known here, so it cannot be kept")


def _only(given: Mapping[str, Any], name: str, default: object, kept: object) -> None:
    value = given.get(name, default)
    if isinstance(value, bool) or value != kept:
        raise UsageError(f"its {name} is {value!r:.60}; only {kept!r} can be imported")


def _relu(value: object) -> object:
    """MONAI's ("relu", {"inplace": ...}) says how to compute the same."""
    if isinstance(value, list) and len(value) == 2 and isinstance(value[1], dict):
        return value[0] if value[1].keys() <= {"inplace"} else value
    return value


def _tuple(value: object) -> tuple[object, ...]:
    return tuple(value) if isinstance(value, list) else ()
