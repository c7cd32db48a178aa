"""Upstream's pretraining checkpoint, written and read: encoder and projector in one torch file.

A dictionary by `torch.save`: `model_state_dict` with the names `encoder.*` and `projector.*`,
`optimizer_state_dict`, and `epoch` where it is known; of fine-tuning, `head.*` in place of the
projector. Source: 3D-Neuro-SimCLR (arXiv 2509.10620).
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.optim import Adam

from fmtool.errors import InputError, UsageError
from runtime.system import atomic
from training.encoders import describe, feature_count, load_parts, weights
from training.encoders.grid import Gridded
from training.encoders.projector import projector as fresh_projector
from training.encoders.told import NOTHING, Told
from training.encoders.vit import ViT

RATE = 3e-4
"""Of Adam, in upstream's pretraining."""

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
        optimizer: its state dictionary, which upstream's resume demands; `solver`'s, fresh, where
            there is none.

    Raises:
        InputError: if the file is there already or cannot be written.
        UsageError: for a transformer or another ending, which upstream's layout does not know.
    """
    target = Path(path)
    if target.suffix not in SUFFIXES:
        raise UsageError(f"{target} must end in {', '.join(SUFFIXES)} to be a checkpoint")
    if isinstance(encoder, ViT):
        raise UsageError("upstream's layout holds a residual network; save a transformer's folder")
    if isinstance(encoder, Gridded):
        raise UsageError("upstream's layout holds a whole network; save a gridded one's folder")
    about = describe(encoder)
    if about.layout is not None or about.own is not None:
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
    content["optimizer_state_dict"] = dict(optimizer or solver(encoder, projector).state_dict())
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
    encoder, parts, info = load_parts(path, told)
    found = parts.projector
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


def linear_head(
    path: str | os.PathLike[str], told: Told = NOTHING, outputs: int = 1
) -> tuple[NDArray[np.float64], float | NDArray[np.float64]]:
    """The head of a checkpoint that upstream's fine-tuning wrote: weight (F,) and bias.

    Its output is the value of a regression, or the logit of class 1: what a `Head` gives. Of K > 1
    outputs the weight is (K, F) and the bias (K,), a logit of each class.

    Args:
        path: whatever `training.encoders.load_checkpoint` reads.
        told: what the weights do not tell.
        outputs: how many the task has.

    Raises:
        InputError: if it holds none, of another number of outputs, or not of numbers.
    """
    encoder, parts, _ = load_parts(path, told)
    found = parts.head
    if not found:
        raise InputError(
            f"checkpoint {path} holds no head.weight and head.bias, which upstream's fine-tuning "
            "writes; leave --task and --head out to keep its encoder alone"
        )
    count = len(found["head.weight"]) if "head.weight" in found else 1
    if count != outputs:
        has = "one" if outputs == 1 else f"{outputs}, one a class"
        raise InputError(f"checkpoint {path} has a head of {count} outputs; the task has {has}")
    linear = nn.Linear(feature_count(encoder), outputs)
    unknown = weights.fill(
        nn.ModuleDict({"head": linear}), found, f"checkpoint {path}", "upstream's linear head"
    )
    if unknown:
        raise InputError(f"checkpoint {path} has a head of other layers: {', '.join(unknown)}")
    weight, bias = (part.detach().double().numpy() for part in (linear.weight, linear.bias))
    return (weight, bias) if outputs > 1 else (weight[0], float(bias[0]))


def solver(encoder: nn.Module, projector: nn.Module | None) -> Adam:
    """Upstream's optimizer over these weights, in upstream's order, which counts them."""
    parts = [encoder] if projector is None else [encoder, projector]
    return Adam([weight for part in parts for weight in part.parameters()], lr=RATE)


def accepts(optimizer: Adam, state: Mapping[str, Any]) -> bool:
    """Whether upstream's resume can take a state dictionary: Adam's, of weights of these shapes."""
    shapes = [weight.shape for group in optimizer.param_groups for weight in group["params"]]
    try:
        (group,), entries = state["param_groups"], state["state"]
        found = all(
            entries[number][name].shape == shapes[number]
            for number in entries
            for name in ("exp_avg", "exp_avg_sq")
        )
        return found and len(group["params"]) == len(shapes)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError):
        return False


def _plain(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().cpu().contiguous()
