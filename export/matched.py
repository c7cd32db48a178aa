"""Each head to the encoder that it was fitted on: the graph, and what the manifest says of it."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from export.graph import BundleGraph, LinearHead
from export.parts.manifest import BundleNotes
from fmtool import space
from fmtool.bundle.encoder import EncoderFacts
from fmtool.bundle.exposure import BundleExposure, Exposure
from fmtool.errors import InputError
from training import encoders
from training.encoders import architecture, positions

EncoderSource = nn.Module | str | os.PathLike[str]
"""A module by `training.encoders.build`, or a checkpoint's path."""


@dataclass(frozen=True)
class _Loaded:
    network: nn.Module
    name: str
    source: str
    seen: Exposure
    digest: str


@dataclass(frozen=True)
class Matched:
    """Encoders with their heads.

    Attributes:
        graph: on the CPU, in float32.
        encoders: the manifest's facts about them, in the graph's order.
        exposure: whose scans and labels set their weights.
    """

    graph: BundleGraph
    encoders: tuple[EncoderFacts, ...]
    exposure: BundleExposure


def matched(
    given: EncoderSource | Sequence[EncoderSource],
    heads: Sequence[LinearHead],
    notes: BundleNotes,
    progress: Callable[[str], None],
) -> Matched:
    """Match heads with encoders by the digest that a head has of its own.

    Raises:
        InputError: if a checkpoint cannot be read, a head belongs to no encoder of those given, or
            an encoder, where there are several, has no head or is given twice.
    """
    single = isinstance(given, nn.Module | str | os.PathLike)
    sources: list[EncoderSource] = [given] if single else list(given)  # type: ignore[list-item, arg-type]
    loaded = [_load(one, notes, progress) for one in sources]
    for head in heads:
        _check_size(head)
    of = [_number(head, loaded) for head in heads]
    for number, one in enumerate(loaded):
        if len(loaded) > 1 and any(one.digest == other.digest for other in loaded[:number]):
            raise InputError(
                f"{one.name} is given twice, or two files hold one encoder; name it once"
            )
        if len(loaded) > 1 and number not in of:
            raise InputError(
                f"no head was fitted on {one.name} ({one.digest[:12]}); leave it out, or name its "
                "head, too"
            )
    graph = BundleGraph([one.network for one in loaded], heads, of)
    names = [head.task.name for head in heads]
    facts = tuple(
        _facts(one, graph.embeddings[k], [n for n, i in zip(names, of, strict=True) if i == k])
        if len(loaded) > 1
        else _facts(one)
        for k, one in enumerate(loaded)
    )
    of_heads = {head.task.name: head.exposure for head in heads}
    of_encoders = {name: loaded[i].seen for name, i in zip(names, of, strict=True)}
    seen = loaded[0].seen
    for one in loaded[1:]:
        seen |= one.seen
    exposure = BundleExposure(seen, of_heads, of_encoders if len(loaded) > 1 else {})
    return Matched(graph, facts, exposure)


def _load(encoder: EncoderSource, notes: BundleNotes, progress: Callable[[str], None]) -> _Loaded:
    if isinstance(encoder, nn.Module):
        # A copy: the caller's stays in its mode and place.
        network, seen = copy.deepcopy(encoder).cpu().float(), notes.seen
        return _Loaded(network, "the encoder", notes.source, seen, encoders.digest(network))
    network, info = encoders.load_checkpoint(encoder)
    for sentence in info["remarks"]:
        progress(sentence)
    name = f"checkpoint {Path(encoder).name}"
    source = notes.source or info.get("source") or name
    return _Loaded(network, str(encoder), source, info["exposure"], encoders.digest(network))


def _check_size(head: LinearHead) -> None:
    shape = tuple(head.evidence.get("input_shape", space.CROP_SHAPE))
    if shape != space.CROP_SHAPE:
        raise InputError(
            f"the head of {head.task.name} was trained on scans resized to "
            f"{'x'.join(map(str, shape))}, which a bundle does not do; train it at full size"
        )


def _number(head: LinearHead, loaded: Sequence[_Loaded]) -> int:
    """Which of the encoders a head was fitted on."""
    fitted_on = head.encoder_sha256
    digests = [one.digest for one in loaded]
    if fitted_on in digests:
        return digests.index(fitted_on)
    if len(loaded) == 1 and fitted_on == "":
        return 0
    if len(loaded) == 1:
        raise InputError(
            f"the head of {head.task.name} was fitted on the encoder "
            f"{fitted_on[:12]}, not on this one ({digests[0][:12]}); fit it again"
        )
    each = ", ".join(f"{one.name}: {one.digest[:12]}" for one in loaded)
    if fitted_on == "":
        raise InputError(
            f"the head of {head.task.name} does not say which encoder it was fitted on, and there "
            f"are {len(loaded)} ({each}); export it with its own alone, or fit it again"
        )
    raise InputError(
        f"the head of {head.task.name} was fitted on the encoder {fitted_on[:12]}, which is none "
        f"of those given ({each}); name its encoder, or leave the head out"
    )


def _facts(
    one: _Loaded, embedding: str | None = None, tasks: Sequence[str] | None = None
) -> EncoderFacts:
    facts = {
        **architecture.describe(one.network).facts(),
        "source": one.source,
        "sha256": one.digest,
        "parameters": sum(p.numel() for p in one.network.parameters()),
        **positions.positions(one.network),
    }
    if embedding is not None and tasks is not None:
        facts |= {"embedding": embedding, "tasks": list(tasks)}
    return EncoderFacts.from_dict(facts)
