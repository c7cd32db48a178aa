"""Named tensors of a file -> the parts of a model they belong to, checked and loaded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from fmtool.errors import InputError
from training.encoders.architecture import some

_WRAPPERS = ("module", "_orig_mod")  # of DistributedDataParallel and torch.compile
_STEM = "conv1.weight"
SFCN = "feature_extractor.conv_0.0.weight"
DENSENET = "features.conv0.weight"
VIT = "patch_embedding.position_embeddings"
_SEEN = {
    _STEM: f"layer1.0.{_STEM}",
    SFCN: "feature_extractor.conv_1.0.weight",
    DENSENET: "features.denseblock1.denselayer1.layers.conv1.weight",
    VIT: "blocks.0.attn.qkv.weight",
}
"""A name by which each layout's place in a larger network is found, and one that confirms it."""


class CheckpointParts(NamedTuple):
    """A checkpoint's tensors by their bare names.

    Attributes:
        encoder: without its prefix.
        projector: of that encoder, without its prefix.
        others: names that belong to neither.
        head: what follows it in upstream's fine-tuning, `head.*`, which is among the others too.
        place: the prefix of the encoder, wrappers taken out.
        wrapped: whether every name is below a wrapper of several devices, `module.`.
    """

    encoder: dict[str, Tensor]
    projector: dict[str, Tensor]
    others: list[str]
    head: dict[str, Tensor]
    place: str = ""
    wrapped: bool = False


def split(tensors: Mapping[str, Tensor], where: str, prefix: str | None = None) -> CheckpointParts:
    """Sort a checkpoint's tensors.

    Trainings prefix names: wrappers anywhere with `module.` and `_orig_mod.`, which are taken out,
    and the network's place in a larger one, such as `encoder.`, `model.backbone.` or `student.`.
    The network of a known layout below the only such prefix is the encoder; `encoder.` comes before
    others.

    Args:
        tensors: by their names in the file.
        where: the file, for errors.
        prefix: of the encoder, where there are several.

    Raises:
        InputError: if there are several networks, or none below `prefix`.
    """
    bare = {".".join(p for p in n.split(".") if p not in _WRAPPERS): t for n, t in tensors.items()}
    places = [
        place
        for stem, other in _SEEN.items()
        for n in bare
        if n == stem or n.endswith(f".{stem}")
        if f"{(place := n.removesuffix(stem))}{other}" in bare
    ]
    if prefix is not None:
        wanted = f"{prefix.rstrip('.')}." if prefix else ""
        if wanted not in places:
            raise InputError(
                f"{where} holds no residual network under {prefix!r:.60}; "
                f"there are {some([repr(place) for place in places]) or 'none'}"
            )
        places = [wanted]
    elif "encoder." in places or not places:
        places = ["encoder."] if any(n.startswith("encoder.") for n in bare) else [""]
    if len(places) > 1:
        raise InputError(
            f"{where} holds {len(places)} residual networks, under {some(places)}; "
            "name one with --prefix"
        )
    own, root = places[0], places[0].removesuffix("encoder.")
    aside = f"{root}projector."
    projector = {n.removeprefix(aside): t for n, t in bare.items() if n.startswith(aside)}
    head = {n.removeprefix(root): t for n, t in bare.items() if n.startswith(f"{root}head.")}
    rest = {n: t for n, t in bare.items() if not n.startswith(aside)}
    encoder = {n.removeprefix(own): t for n, t in rest.items() if n.startswith(own)}
    others = [n for n in rest if not n.startswith(own)]
    wrapped = all(name.startswith(f"{_WRAPPERS[0]}.") for name in tensors)
    return CheckpointParts(encoder, projector, others, head, own, wrapped)


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
