"""Named tensors of a file -> the parts of a model they belong to, checked and loaded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from fmtool.errors import InputError
from training.encoders.architecture import some


class CheckpointParts(NamedTuple):
    """A checkpoint's tensors by their bare names.

    Attributes:
        encoder: without the prefix `encoder.`.
        projector: without the prefix `projector.`.
        others: names that belong to neither.
    """

    encoder: dict[str, Tensor]
    projector: dict[str, Tensor]
    others: list[str]


def split(tensors: Mapping[str, Tensor]) -> CheckpointParts:
    """Sort a checkpoint's tensors.

    Wrappers prefix names: `module.` (DistributedDataParallel) outside or inside `encoder.`. Where
    any name starts with `encoder.`, only those are the encoder's.
    """
    bare = {name.replace("module.", "").replace("_orig_mod.", ""): t for name, t in tensors.items()}
    projector = _below("projector.", bare)
    rest = {name: t for name, t in bare.items() if not name.startswith("projector.")}
    encoder = _below("encoder.", rest)
    if not encoder:
        return CheckpointParts(rest, projector, [])
    return CheckpointParts(
        encoder, projector, [name for name in rest if not name.startswith("encoder.")]
    )


def fill(module: nn.Module, found: Mapping[str, Tensor], where: str, what: str) -> list[str]:
    """Load named tensors into a module; the names it does not have are returned.

    Args:
        module: gets every one of its weights from `found`.
        found: tensors of its names and shapes, of any floating type where it has one.
        where: the file they come from, for errors.
        what: the module in words, for errors.

    Raises:
        InputError: if one is missing, of another shape or kind, or not finite.
    """
    wanted = module.state_dict()
    # A counter that evaluation never reads; older torch did not store it.
    missing = [n for n in wanted if n not in found and not n.endswith("num_batches_tracked")]
    if missing:
        raise InputError(
            f"{where} lacks {len(missing)} of the {len(wanted)} weights of {what}, {some(missing)}"
        )
    shared = {name: found[name] for name in wanted if name in found}
    for name, tensor in shared.items():
        _check(name, tensor, wanted[name], where)
    module.load_state_dict({**wanted, **shared})
    return [name for name in found if name not in wanted]


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}


def _check(name: str, found: Tensor, wanted: Tensor, where: str) -> None:
    if found.shape != wanted.shape:
        raise InputError(
            f"{where}: {name} has shape {tuple(found.shape)}, not {tuple(wanted.shape)}"
        )
    if found.layout != torch.strided or found.device.type != "cpu" or found.is_quantized:
        raise InputError(f"{where}: {name} is not a plain dense tensor")
    if found.is_floating_point() != wanted.is_floating_point():
        raise InputError(f"{where}: {name} is {found.dtype}, not {wanted.dtype}")
    if not bool(torch.isfinite(found.float()).all()):
        raise InputError(f"{where}: {name} holds NaN or infinity; training diverged")
