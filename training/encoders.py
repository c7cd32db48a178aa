"""Encoders: volume -> embedding; the paper's ResNet-18, its weights from and to files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from monai.networks.nets.resnet import resnet18
from torch import Tensor, nn

from fmtool.errors import InputError, UsageError
from training.checkpoint import read_tensors
from training.encoder_folder import ARCHITECTURE, STEM, digest, read_folder, save_encoder

__all__ = [
    "build",
    "digest",
    "features",
    "load_checkpoint",
    "masked_zscore",
    "save_encoder",
]

_MAX_WIDTH = 2.0  # bounds what a checkpoint can make us allocate
_STAGES = ("conv1", "bn1", "act", "maxpool", "layer1", "layer2", "layer3", "layer4")


def build(name: str = "resnet18", width: float = 1.0) -> nn.Module:
    """An encoder with fresh weights, [B, 1, D, H, W] -> [B, 512 * width].

    The layout and the parameter names are upstream's (3D-Neuro-SimCLR, arXiv 2509.10620): MONAI's
    ResNet-18 with a 7x7x7 first convolution of stride 1 and a bias in the down-sampling shortcuts.

    Args:
        name: "resnet18".
        width: scales every layer's channels; 64 * width must be a whole number.

    Raises:
        UsageError: for another name, or a width that cannot be built.
    """
    if name != ARCHITECTURE:
        raise UsageError(f"unknown encoder {name!r}; there is resnet18")
    stem = STEM * width
    if not (1 <= stem <= STEM * _MAX_WIDTH and float(stem).is_integer()):
        raise UsageError(
            f"encoder width {width:g} is not possible; take a multiple of 1/64 up to {_MAX_WIDTH:g}"
        )
    encoder: nn.Module = resnet18(
        spatial_dims=3,
        n_input_channels=1,
        feed_forward=False,
        shortcut_type="B",
        bias_downsample=True,
        widen_factor=width,
    )
    return encoder


def features(encoder: nn.Module, volume: Tensor) -> Tensor:
    """The map before global average pooling, [B, F, d, h, w]; its mean is the embedding."""
    for stage in _STAGES:
        volume = encoder.get_submodule(stage)(volume)
    return volume


def masked_zscore(volume: Tensor, mask: Tensor) -> Tensor:
    """Intensities as z-scores of the voxels inside the mask, zero outside.

    Population standard deviation with 1e-12 under the root, as upstream (arXiv 2509.10620).

    Args:
        volume: float, (..., z, y, x); each leading index is a volume of its own; finite.
        mask: same shape, any type; inside where it is not zero.
    """
    axes = (-3, -2, -1)
    inside = mask.bool().to(volume.dtype)  # products are ten times as fast as `where` on the CPU
    count = inside.sum(axes, keepdim=True).clamp(min=1)
    mean = (volume * inside).sum(axes, keepdim=True) / count
    centred = (volume - mean) * inside
    variance = centred.square().sum(axes, keepdim=True) / count
    return centred / torch.sqrt(variance + 1e-12)


def load_checkpoint(path: str | os.PathLike[str]) -> tuple[nn.Module, dict[str, Any]]:
    """An encoder, in eval mode, from any file or folder that holds its weights.

    Args:
        path: a folder by `save_encoder`; a file by `torch.save` with `model_state_dict` (upstream:
            `encoder.*` and `projector.*`, perhaps prefixed `module.`) or a bare state dictionary;
            a tar that holds one such file; a `.safetensors` file.

    Returns:
        the encoder, and what was found: "format", "width", "features", "sha256" (of the encoder's
        weights, see `digest`), "missing" (always empty: a gap is an error), "unexpected" (names
        that belong to neither encoder nor projector), "projector" (names left out), and "epoch" or
        "source" where the file says so.

    Raises:
        InputError: if it cannot be read, or does not hold every weight of the encoder, in shape
            and finite.
    """
    path = Path(path)
    tensors, facts = read_folder(path) if path.is_dir() else read_tensors(path)
    weights, projector, unexpected = _sort_names(tensors)
    encoder = build(width=_infer_width(weights, path))
    wanted = encoder.state_dict()
    # A counter that evaluation never reads; older torch did not store it.
    missing = [n for n in wanted if n not in weights and not n.endswith("num_batches_tracked")]
    if missing:
        raise InputError(
            f"checkpoint {path} lacks {len(missing)} of the encoder's {len(wanted)} weights, "
            f"{_some(missing)}; fmtool reads the ResNet-18 of 3D-Neuro-SimCLR"
        )
    for name in wanted.keys() & weights.keys():
        _check_tensor(name, weights[name], wanted[name], path)
    unexpected += [name for name in weights if name not in wanted]
    encoder.load_state_dict({**wanted, **{n: weights[n] for n in wanted.keys() & weights.keys()}})
    channels = encoder.get_parameter("conv1.weight").shape[0]
    info = {
        **facts,
        "width": channels / STEM,
        "features": 8 * channels,
        "sha256": digest(encoder),
        "missing": missing,
        "unexpected": sorted(unexpected),
        "projector": sorted(projector),
    }
    return encoder.eval(), info


def _sort_names(tensors: dict[str, Tensor]) -> tuple[dict[str, Tensor], list[str], list[str]]:
    """Encoder weights by their bare names, the projector's names, and all other names.

    Wrappers prefix names: `module.` (DistributedDataParallel) outside or inside `encoder.`. Where
    any name starts with `encoder.`, only those are the encoder's.
    """
    bare = {name.replace("module.", "").replace("_orig_mod.", ""): t for name, t in tensors.items()}
    projector = [name for name in bare if name.startswith("projector.")]
    rest = {name: t for name, t in bare.items() if not name.startswith("projector.")}
    inner = {n.removeprefix("encoder."): t for n, t in rest.items() if n.startswith("encoder.")}
    if not inner:
        return rest, projector, []
    return inner, projector, [name for name in rest if not name.startswith("encoder.")]


def _infer_width(weights: dict[str, Tensor], path: Path) -> float:
    stem = weights.get("conv1.weight")
    if stem is None:
        raise InputError(
            f"checkpoint {path} lacks the encoder's conv1.weight; it holds {_some(list(weights))}"
        )
    if stem.ndim != 5 or not 1 <= stem.shape[0] <= STEM * _MAX_WIDTH:
        raise InputError(
            f"checkpoint {path}: conv1.weight has shape {tuple(stem.shape)}; "
            "expected (64, 1, 7, 7, 7), or a scaled width of it"
        )
    return float(stem.shape[0] / STEM)


def _check_tensor(name: str, found: Tensor, wanted: Tensor, path: Path) -> None:
    if found.shape != wanted.shape:
        raise InputError(
            f"checkpoint {path}: {name} has shape {tuple(found.shape)}, not {tuple(wanted.shape)}"
        )
    if found.layout != torch.strided or found.device.type != "cpu" or found.is_quantized:
        raise InputError(f"checkpoint {path}: {name} is not a plain dense tensor")
    if found.is_floating_point() != wanted.is_floating_point():
        raise InputError(f"checkpoint {path}: {name} is {found.dtype}, not {wanted.dtype}")
    if not bool(torch.isfinite(found.float()).all()):
        raise InputError(f"checkpoint {path}: {name} holds NaN or infinity; training diverged")


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"
