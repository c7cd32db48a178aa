"""Encoders: volume -> embedding; the paper's networks, their weights from and to files."""

from __future__ import annotations

import copy
import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fmtool.bundle.exposure import UNKNOWN
from fmtool.errors import InputError, UsageError
from fmtool.space import CROP_SHAPE
from training.encoders import architecture, hugging_face, importers, stem, weights
from training.encoders.architecture import describe
from training.encoders.checkpoint import read_tensors
from training.encoders.densenet import DenseNet
from training.encoders.encoder_folder import digest, read_folder, save_encoder
from training.encoders.grid import STEM, Gridded
from training.encoders.monai import bundle as monai_bundle
from training.encoders.own_input import Entered, core
from training.encoders.sfcn import SFCN
from training.encoders.stem import recomputed
from training.encoders.told import NOTHING, Told
from training.encoders.vit import Shape, ViT
from training.encoders.weights import CheckpointParts

__all__ = [
    "Told",
    "build",
    "describe",
    "digest",
    "feature_count",
    "features",
    "fresh",
    "gridded",
    "load_checkpoint",
    "map_shape",
    "masked_zscore",
    "pool",
    "save_encoder",
    "weigh",
]


def build(name: str = "resnet18", width: float = 1.0, patch: Shape | None = None) -> nn.Module:
    """An encoder with fresh weights, [B, 1, D, H, W] -> [B, F].

    | name | F at width 1 | network |
    |---|---|---|
    | resnet18 | 512 | the paper's |
    | resnet50 | 2048 | the same with bottleneck blocks |
    | vit_tiny | 192 | 12 transformer layers of 3 heads over patches |
    | vit_base | 768 | 12 transformer layers of 12 heads |

    Also resnet10, 34, 101, 152 and 200. A "vit", "densenet" and "sfcn" are somebody else's, read by
    `load_checkpoint`.

    The residual networks' layout and parameter names are upstream's (3D-Neuro-SimCLR, arXiv
    2509.10620): MONAI's, with a 7x7x7 first convolution of stride 1 and a bias in the
    down-sampling shortcuts. They take volumes of any size; a transformer takes whole numbers of
    patches, see `training.encoders.vit`.

    Args:
        name: see the table.
        width: scales every layer's channels, which must stay whole (and, in a transformer,
            divisible by its heads).
        patch: (z, y, x) voxels of a transformer's patch; 15x16x16 when absent.

    Raises:
        UsageError: for another name, or a width or patch that cannot be built.

    Example:
        >>> import torch
        >>> from training import encoders
        >>> encoder = encoders.build("resnet18", width=0.25).eval()
        >>> encoder(torch.zeros(2, 1, 32, 32, 32)).shape
        torch.Size([2, 128])
    """
    return architecture.build(name, width, patch)


def fresh(
    name: str = "resnet18", width: float = 1.0, patch: Shape | None = None, seed: int = 42
) -> nn.Module:
    """The same, with first weights that follow from the seed, whatever was drawn before."""
    with torch.random.fork_rng(devices=[]):  # building draws from torch's global generator
        torch.manual_seed(seed)
        return build(name, width, patch)


def gridded(encoder: nn.Module, stage: int, cells: Shape, histogram: bool = False) -> nn.Module:
    """A residual network cut after a stage, whose embedding keeps place.

    See `training.encoders.grid` for the equation. Cells are as equal as the map's positions
    allow; at full size the paper's stages have 75x96x96, 38x48x48, 19x24x24 and 10x12x12.

    Args:
        encoder: by `build`; its weights are copied.
        stage: the last layer that is kept, 1 to 4.
        cells: along (z, y, x).
        histogram: with local histograms of the intensities as further channels, see
            `training.encoders.histogram`.

    Raises:
        UsageError: for a transformer, a gridded encoder, or a stage or cells that are none.

    Example:
        >>> import torch
        >>> from training import encoders
        >>> encoder = encoders.gridded(encoders.build(width=0.25).eval(), stage=2, cells=(2, 3, 3))
        >>> encoder(torch.zeros(1, 1, 32, 32, 32)).shape  # 32 channels in 18 cells
        torch.Size([1, 576])
    """
    return architecture.gridded(encoder, stage, cells, histogram)


def features(encoder: nn.Module, volume: Tensor, recompute: bool = False) -> Tensor:
    """The map [B, C, d, h, w] that `pool` makes the embedding of.

    Args:
        encoder: by `build` or `gridded`.
        volume: [B, 1, D, H, W], z-scored.
        recompute: keep no activations inside a block, but compute them again in the backward pass,
            and run a residual network's first layers volume by volume: the same gradients and
            BatchNorm statistics, up to the order of sums, in a fraction of the memory.
    """
    if isinstance(encoder, Entered):
        maps = features(encoder.network, encoder.own.enter(volume), recompute)
        return encoder.own.leave(maps)
    if isinstance(encoder, ViT | DenseNet | SFCN):
        return encoder.feature_map(volume, recompute)
    maps = volume
    if recompute:
        maps = stem.one_by_one(encoder, maps)
    else:
        for name in STEM:
            maps = encoder.get_submodule(name)(maps)
    layers = [module for name, module in encoder.named_children() if name.startswith("layer")]
    for layer in layers:
        for block in layer.children():
            maps = recomputed(block, maps) if recompute else block(maps)
    return encoder.beside(volume, maps) if isinstance(encoder, Gridded) else maps


def pool(encoder: nn.Module, maps: Tensor) -> Tensor:
    """The embedding [B, F] of `features`: their mean over positions, or those of a grid's cells."""
    return encoder.pool(maps) if isinstance(encoder, Gridded) else maps.mean(dim=(2, 3, 4))


def weigh(encoder: nn.Module, maps: Tensor, weight: Tensor) -> Tensor:
    """[B, 1, d, h, w], whose mean over positions is the embedding of `maps` times `weight` (F,)."""
    if isinstance(encoder, Gridded):
        return encoder.weigh(maps, weight)
    return (maps * weight[:, None, None, None]).sum(1, keepdim=True)


def map_shape(encoder: nn.Module, volume: Shape) -> Shape:
    """(d, h, w) of the map that `features` gives of a volume; nothing is computed.

    Raises:
        UsageError: if it has fewer positions than a gridded encoder has cells.
    """
    empty = copy.deepcopy(encoder).to("meta").eval()
    maps = features(empty, torch.empty(1, 1, *volume, device="meta"))
    pool(empty, maps)
    d, h, w = maps.shape[2:]
    return d, h, w


def feature_count(encoder: nn.Module) -> int:
    """F, the features of an encoder's embedding."""
    return describe(encoder).features


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
    return centred / (variance + 1e-12).sqrt()


def load_checkpoint(
    path: str | os.PathLike[str], told: Told = NOTHING
) -> tuple[nn.Module, dict[str, Any]]:
    """An encoder, in eval mode, from any file or folder that holds its weights.

    Args:
        path: a folder by `save_encoder`; a file by `torch.save` with `model_state_dict` (upstream:
            `encoder.*` and `projector.*`, or under other prefixes, see
            `training.encoders.weights.split`; of the layouts in `training.encoders.importers`) or a
            bare state dictionary; a tar that holds one such
            file; a `.safetensors` file; a Hugging Face folder, whose `config.json` may say what
            `told` does, in MONAI's words. A transformer loads from its folder alone: its weights do
            not tell its heads. Or a MONAI bundle, a folder or a zip, see
            `training.encoders.monai.bundle`.
        told: what the weights do not tell.

    Returns:
        the encoder, and what was found: "format", "architecture", "width", "features", "patch"
        (transformers) and "input" (its own, see `training.encoders.own_input`), "sha256" (of the
        encoder's weights, see `digest`), "missing" (always empty: a gap is an error), "unexpected"
        (names that belong to neither encoder nor projector), "projector" and "dropped" (names left
        out, of the layers after the embedding), "remarks" (sentences on what was assumed, or
        differs from fmtool's volumes), "exposure" (see `fmtool.bundle.exposure`; unknown of a
        file), and "layout" (see `training.encoders.layout`), "epoch" or "source" where the file
        says so.

    Raises:
        UsageError: if something is told of a folder or bundle that tells it itself.
        InputError: if it cannot be read, does not hold every weight of the encoder, in shape and
            finite, or does not give the reference's embedding.

    Example:
        >>> from training import encoders
        >>> fresh = encoders.build("resnet18", width=0.0625)
        >>> folder = encoders.save_encoder("encoder", fresh, source="random weights")
        >>> encoder, info = encoders.load_checkpoint(folder)
        >>> encoder.training, info["features"], info["missing"]
        (False, 32, [])
    """
    encoder, _, info = load_parts(path, told)
    info.pop("optimizer", None)  # twice the weights, which nobody but a resume needs
    return encoder, info


def load_parts(
    path: str | os.PathLike[str], told: Told = NOTHING
) -> tuple[nn.Module, CheckpointParts, dict[str, Any]]:
    """The same, and the file's tensors, of which those of projector and head are unchecked; what
    was found has the optimizer's state dictionary, too, unchecked: "optimizer", where stored."""
    path = Path(path)
    encoder, parts, facts = _read(path, told)
    told.verify(encoder.eval(), f"checkpoint {path}")
    return encoder, parts, _facts(encoder, facts)


def _read(path: Path, told: Told) -> tuple[nn.Module, CheckpointParts, dict[str, Any]]:
    where = f"checkpoint {path}"
    bundle = monai_bundle.is_bundle(path)
    own = path.is_dir() and not bundle and not hugging_face.is_folder(path)
    if (told.layout and (own or bundle)) or (told.own is not None and own):
        raise UsageError(f"{path} tells its own network; leave out what you told of it")
    if bundle:
        encoder, facts = monai_bundle.load(path)
        if told.own is not None:
            encoder = architecture.entered(encoder, told.own)
            _fits(encoder, where)
            facts["remarks"] = [f"The bundle's network's {told.said}."]
        return encoder, CheckpointParts({}, {}, [], {}), facts
    if own:
        tensors, encoder, facts = read_folder(path)
        parts = weights.split(tensors, where)
    else:
        if path.is_dir():
            tensors, facts, told = hugging_face.read(path, told)
        else:
            tensors, facts = read_tensors(path)
        parts = weights.split(tensors, where, told.prefix)
        found = importers.read(parts, where, told)
        parts = parts._replace(encoder=found.tensors)
        encoder = found.architecture.build()
        facts |= {"remarks": found.remarks, "dropped": found.dropped}
    if told.own is not None:
        _fits(encoder, where)
    what = f"a {describe(encoder).name} encoder"
    facts["unexpected"] = parts.others + weights.fill(core(encoder), parts.encoder, where, what)
    facts["projector"] = sorted(f"projector.{name}" for name in parts.projector)
    return encoder, parts, facts


def _fits(encoder: nn.Module, where: str) -> None:
    try:
        map_shape(encoder, CROP_SHAPE)
    except RuntimeError:  # of torch, where a pooling finds less than its window
        raise InputError(f"{where} leaves no map of so small an input; give a larger") from None


def _facts(encoder: nn.Module, facts: dict[str, Any]) -> dict[str, Any]:
    return {
        "projector": [],
        "dropped": [],
        "remarks": [],
        "exposure": UNKNOWN,
        **facts,
        **describe(encoder).facts(),
        "sha256": digest(encoder),
        "missing": [],
        "unexpected": sorted(facts["unexpected"]),
    }
