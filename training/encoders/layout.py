"""What encoders of one name may differ in, in MONAI's words, and bounds on it.

A residual network's defaults are upstream's; an encoder that MONAI's users trained may have others.
The bounds limit what a file can make us allocate.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

from fmtool.errors import UsageError
from training.encoders.vit import Shape

MAX_PATCH = 32
"""Voxels per axis of a transformer's patch."""

MAX_POSITIONS = 1 << 15
"""Patches whose positions a transformer has learned; a head of 1 mm has 1296 of 16 voxels."""

_MOST = {
    "conv1_t_size": 15,
    "conv1_t_stride": 4,
    "img_size": 1024,
    "patch_size": MAX_PATCH,
    "hidden_size": 1280,
    "mlp_dim": 5120,
    "num_layers": 32,
    "num_heads": 64,
    "init_features": 128,
    "growth_rate": 48,
    "bn_size": 4,
    "block_config": 64,
    "channels": 512,
}

_MAX_PARTS = 6
"""Blocks of a network whose layout counts them."""


class _Layout:
    @classmethod
    def read(cls, given: Mapping[str, Any]) -> Self:
        """One from MONAI's arguments; those that are not its own are left alone.

        Raises:
            UsageError: if a value is of another kind, or out of bounds; the argument is named.
        """
        known = {field.name: field.type for field in fields(cls)}  # type: ignore[arg-type]
        checks = {
            "Shape": _sides,
            "int": _whole,
            "bool": _flag,
            "str": _shortcut,
            "tuple[int, ...]": _counts,
        }
        return cls(
            **{name: checks[str(known[name])](name, given[name]) for name in known if name in given}
        )


@dataclass(frozen=True)
class Residual(_Layout):
    """A residual network's; each attribute but the last is the argument of MONAI's `ResNet`.

    Attributes:
        conv1_t_size: (z, y, x) voxels of the first convolution.
        conv1_t_stride: its steps.
        no_max_pool: leave out the pooling after it.
        shortcut_type: "A" pads channels with zeros, "B" is a convolution.
        bias_downsample: whether that convolution has a bias.
        dilated: whether the last two layers keep the map's size and dilate by 2 and 4, MedicalNet's
            (arXiv 1904.00625), in place of halving it.
    """

    conv1_t_size: Shape = (7, 7, 7)
    conv1_t_stride: Shape = (1, 1, 1)
    no_max_pool: bool = False
    shortcut_type: str = "B"
    bias_downsample: bool = True
    dilated: bool = False


@dataclass(frozen=True)
class Transformer(_Layout):
    """That of a transformer with learned positions; the arguments of MONAI's `ViT`.

    Attributes:
        img_size: (z, y, x) voxels its positions were learned for.
        patch_size: (z, y, x) voxels of a patch.
        hidden_size: features of a token.
        mlp_dim: features inside a block's MLP.
        num_layers: blocks.
        num_heads: of each block's attention; divides `hidden_size`.
        classification: whether a class token takes part in attention.
    """

    img_size: Shape
    patch_size: Shape
    hidden_size: int = 768
    mlp_dim: int = 3072
    num_layers: int = 12
    num_heads: int = 12
    classification: bool = False

    def __post_init__(self) -> None:
        if self.hidden_size % self.num_heads:
            raise UsageError(f"hidden_size {self.hidden_size} is no multiple of num_heads")
        if not all(self.grid):
            raise UsageError("img_size is smaller than patch_size")
        if math.prod(self.grid) > MAX_POSITIONS:
            raise UsageError(
                f"img_size holds {math.prod(self.grid)} patches; at most {MAX_POSITIONS} are taken"
            )

    @property
    def grid(self) -> Shape:
        """Learned positions along (z, y, x)."""
        (z, y, x), (pz, py, px) = self.img_size, self.patch_size
        return z // pz, y // py, x // px


@dataclass(frozen=True)
class Dense(_Layout):
    """A DenseNet's; each attribute is the argument of MONAI's `DenseNet`.

    Attributes:
        init_features: channels of the first convolution.
        growth_rate: channels that each layer adds.
        block_config: layers of each block.
        bn_size: channels inside a layer, in growth rates.
    """

    init_features: int = 64
    growth_rate: int = 32
    block_config: tuple[int, ...] = (6, 12, 24, 16)
    bn_size: int = 4


@dataclass(frozen=True)
class Plain(_Layout):
    """That of a plain convolutional network, SFCN.

    Attributes:
        channels: of each block.
    """

    channels: tuple[int, ...] = (32, 64, 128, 256, 256, 64)


Layout = Residual | Transformer | Dense | Plain


def _whole(name: str, value: object) -> int:
    if type(value) is not int or not 1 <= value <= _MOST[name]:
        raise UsageError(f"{name} {value!r:.60} is not a whole number from 1 to {_MOST[name]}")
    return value


def _sides(name: str, value: object) -> Shape:
    given = value if isinstance(value, list | tuple) else [value] * 3
    if len(given) != 3:
        raise UsageError(f"{name} {value!r:.60} does not have the three sides of a volume")
    z, y, x = (_whole(name, side) for side in given)
    return z, y, x


def _counts(name: str, value: object) -> tuple[int, ...]:
    given = value if isinstance(value, list | tuple) else []
    if not 1 <= len(given) <= _MAX_PARTS:
        raise UsageError(f"{name} {value!r:.60} does not have 1 to {_MAX_PARTS} parts")
    return tuple(_whole(name, part) for part in given)


def _flag(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise UsageError(f"{name} {value!r:.60} is neither true nor false")
    return value


def _shortcut(name: str, value: object) -> str:
    if value not in ("A", "B"):
        raise UsageError(f"{name} {value!r:.60} is neither 'A' nor 'B'")
    return str(value)
