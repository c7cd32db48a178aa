"""Upstream's pretraining checkpoint, written and read: encoder and projector in one torch file.

A dictionary by `torch.save`: `model_state_dict` with the names `encoder.*` and `projector.*`,
`epoch`, and `optimizer_state_dict` where there is one. Source: 3D-Neuro-SimCLR (arXiv 2509.10620).
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from fmtool.errors import InputError, UsageError
from runtime.system import atomic
from training.encoders import (
    describe,
    feature_count,
    load_checkpoint,
    load_parts,
    save_encoder,
    weights,
)
from training.encoders.projector import projector as fresh_projector
from training.encoders.told import NOTHING, Told
from training.encoders.vit import ViT

SUFFIXES = (".pt", ".pth", ".tar")
"""How a file in this layout may be called; upstream's own ends in .tar, and is none."""


def write(
    path: str | os.PathLike[str],
    encoder: nn.Module,
    projector: nn.Module | None,
    epoch: int | None,
    optimizer: Mapping[str, Any] | None = None,
) -> Path:
    """Write a new checkpoint in upstream's layout: complete, or not at all.

    Args:
        path: the file, ending in one of `SUFFIXES`.
        encoder: a residual network by `training.encoders.build`.
        projector: by `training.simclr.projector`; none leaves its names out.
        epoch: how many were trained, where that is known.
        optimizer: its state dictionary.

    Raises:
        InputError: if the file is there already or cannot be written.
        UsageError: for a transformer or another ending, which upstream's layout does not know.
    """
    target = Path(path)
    if target.suffix not in SUFFIXES:
        raise UsageError(f"{target} must end in {', '.join(SUFFIXES)} to be a checkpoint")
    if isinstance(encoder, ViT):
        raise UsageError("upstream's layout holds a residual network; save a transformer's folder")
    if describe(encoder).layout is not None:
        raise UsageError(
            "upstream's layout cannot say what an imported network's first convolution and "
            "shortcuts are; save the encoder's folder"
        )
    if target.exists():
        raise InputError(f"{target} exists and is left as it is; name another file")
    state = {f"encoder.{name}": _plain(t) for name, t in encoder.state_dict().items()}
    if projector is not None:
        state |= {f"projector.{name}": _plain(t) for name, t in projector.state_dict().items()}
    content: dict[str, Any] = {"model_state_dict": state}
    if epoch is not None:
        content["epoch"] = epoch
    if optimizer is not None:
        content["optimizer_state_dict"] = dict(optimizer)
    stream = io.BytesIO()
    torch.save(content, stream)
    atomic.write_bytes(target, stream.getvalue())
    return target


def load_pretraining(
    path: str | os.PathLike[str], told: Told = NOTHING
) -> tuple[nn.Module, nn.Module | None, dict[str, Any]]:
    """The encoder, in eval mode, the projector if the file has one, and what was found.

    Args:
        path: whatever `training.encoders.load_checkpoint` reads; its facts are returned.
        told: what the weights do not tell.

    Raises:
        InputError: as there, or if the projector is not of the paper's two layers.
    """
    encoder, found, info = load_parts(path, told)
    if not found:
        return encoder, None, info
    projector = fresh_projector(feature_count(encoder))
    unknown = weights.fill(projector, found, f"checkpoint {path}", "the paper's projector")
    if unknown:
        raise InputError(
            f"checkpoint {path} has a projector of other layers than the paper's: "
            f"{', '.join(f'projector.{name}' for name in unknown)}"
        )
    return encoder, projector.eval(), info


def convert(
    source: str | os.PathLike[str], out: str | os.PathLike[str], told: Told = NOTHING
) -> dict[str, Any]:
    """Keep what a checkpoint holds: as upstream's file if `out` ends so, else as a folder.

    Returns:
        what was found, see `training.encoders.load_checkpoint`.

    Raises:
        InputError: if one cannot be read or the other not written.
        UsageError: see `write`.
    """
    if Path(out).suffix in SUFFIXES:
        encoder, projector, info = load_pretraining(source, told)
        write(out, encoder, projector, info.get("epoch"))
    else:
        encoder, info = load_checkpoint(source, told)
        words = info.get("source") or f"checkpoint {Path(source).name}"
        save_encoder(out, encoder, words, seen=info["exposure"])
    return info


def _plain(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().cpu().contiguous()
