"""A child bundle: another's encoder and preprocessing, with heads that a site moved or added.

Nothing is exported anew: the parent's models are carried with their last nodes changed, so neither
torch nor onnx is needed. The child is tested on this machine's engine before it is put in place.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

import fmtool
from export.parts.card import CARD, LICENCES, card
from export.tolerance import of_self_test
from fmtool.bundle import Bundle
from fmtool.bundle import exposure as exposures
from fmtool.bundle import write as bundle_write
from fmtool.bundle.encoder import EncoderFacts
from fmtool.bundle.exposure import UNKNOWN, BundleExposure, Exposure
from fmtool.bundle.manifest import Expected, Manifest, ParentBundle, TaskEntry
from fmtool.bundle.model_graph import ModelGraph
from fmtool.errors import BundleError, UsageError
from fmtool.task import Task
from runtime import trust as trusts
from runtime.engines.selftest import self_test
from runtime.trust import Trust, drift


@dataclass(frozen=True, kw_only=True)
class ChildHead:
    """A head as the child has it.

    Attributes:
        task: of a head that the parent has, if `weight` is None; of a new one otherwise.
        evidence: of the child's head.
        trust: likewise.
        slope, offset: slope * value + offset is the child's value.
        weight: (F,) of a new head; (K, F) of K classes.
        bias: of a new head; (K,).
        thresholds: of a new head of an ordinal task.
        encoder_of: the parent's head whose encoder a new head reads, where there are several.
    """

    task: Task
    evidence: Mapping[str, Any]
    trust: Trust | None
    slope: float = 1.0
    offset: float = 0.0
    weight: ArrayLike | None = None
    bias: ArrayLike = 0.0
    thresholds: Sequence[float] | None = None
    encoder_of: str | None = None

    def reads(self, parent: Manifest) -> EncoderFacts:
        """The parent's encoder that a new head reads.

        Raises:
            UsageError: if there are several, and none is named.
            BundleError: if the parent has no head of the name.
        """
        return parent.encoder if self.encoder_of is None else parent.encoder_of(self.encoder_of)


@dataclass(frozen=True, kw_only=True)
class Descent:
    """What a child has beside its parent's.

    Attributes:
        made: in words, how it was made: a sentence of the card.
        heads: that were moved or added.
        keeps: whether the parent's other heads stay.
        ranges: the checks' usual values at the site; the parent's where there are none.
        reference: what the site's scans looked like; see `runtime.trust.drift`.
        exposure: the site's people, whose labels moved or made the `heads`.
        limits: sentences about the sample, before the parent's.
    """

    made: str
    heads: Sequence[ChildHead]
    keeps: bool = True
    ranges: Mapping[str, list[float]] = field(default_factory=dict)
    reference: Mapping[str, Any] | None = None
    exposure: Exposure = UNKNOWN
    limits: Sequence[str] = ()


def write(
    out: str | os.PathLike[str],
    parent: Bundle,
    descent: Descent,
    overwrite: bool = False,
    say: Callable[[str], None] = lambda sentence: None,
) -> Bundle:
    """Make a child bundle, once it has passed its self-test here.

    Args:
        out: the folder to write, `NAME.fmtool`.
        parent: the bundle that it descends from.
        descent: what is different.
        overwrite: replace a bundle that is already there.
        say: told what a reader of the child should know.

    Raises:
        BundleError: if `out` cannot be written, or the parent's models are none that can be read.
        UsageError: if a new head has the name of one that stays.
        ParityError: if the child does not reproduce what is expected of it; nothing is written.
    """
    bundle_write.claim(out, overwrite)
    known = trusts.read(parent)
    kept = _kept(parent, descent)
    fresh = {head.task.name: head for head in descent.heads if head.weight is not None}
    below = _encoders(parent.manifest, descent, kept)
    models, maps = _models(parent, descent, kept, below)
    if any(not found for found in maps.values()):
        say("The parent's model does not show its features: the new head has no attribution map.")
    tasks = {name: parent.manifest.tasks[name] for name in kept}
    for head in descent.heads:
        name = head.task.name
        before = tasks.get(name)
        shown = before.map if before else f"{name}_map" if maps.get(name) else None
        parts = before.thresholds if before else head.thresholds
        tasks[name] = TaskEntry(head.task, dict(head.evidence), shown, thresholds=parts)
    limits = {name: one for name, one in known.items() if name in kept}
    limits |= {head.task.name: head.trust for head in descent.heads if head.trust is not None}
    manifest = replace(
        parent.manifest,
        name=Path(out).stem,
        created=datetime.now(UTC).date().isoformat(),
        fmtool=fmtool.__version__,
        encoders=below,
        tasks=tasks,
        parity=_parity(parent.manifest, descent, tasks, fresh),
        trust=trusts.FILE if limits else None,
        self_test=_expected(parent, descent, tasks, below),
        calibration=descent.ranges or parent.manifest.calibration,
        # Without a head of the parent's, what was said of those heads' sample is said of nothing.
        limits=[*descent.limits, *(parent.manifest.limits if kept else ())],
        demonstration=parent.manifest.demonstration and bool(kept),
        robustness=None,  # was measured on the parent's outputs
        exposure=exposures.FILE,
        reference=drift.FILE if descent.reference else None,
        parent=ParentBundle(parent.name, parent.digest, descent.made),
    )
    old = parent.manifest
    left = {CARD, old.trust, old.robustness, old.exposure, old.reference, *old.model.values()}
    names = [name for name in old.files if name not in left]
    files: dict[str, Path | bytes] = {**models}
    files |= {name: parent.read(name) for name in names}
    seen = _exposure(parent, descent, tasks)
    files[exposures.FILE] = bytes(seen)
    if limits:
        text = json.dumps({name: one.to_dict() for name, one in limits.items()}, allow_nan=False)
        files[trusts.FILE] = f"{text}\n".encode()
    if descent.reference:
        files[drift.FILE] = (json.dumps(descent.reference, allow_nan=False) + "\n").encode()
    licences = sorted(name for name in names if name.startswith(LICENCES))
    files[CARD] = card(manifest, licences, seen=seen).encode()
    with tempfile.TemporaryDirectory(prefix="fmtool-child-") as folder:
        staged = bundle_write.write(Path(folder) / "child.fmtool", manifest, files)
        engine, _ = self_test(staged)
    say(f"Its self-test passed on {engine}.")
    return bundle_write.write(out, manifest, files, overwrite)


def _kept(parent: Bundle, descent: Descent) -> list[str]:
    """The parent's heads that the child has, moved or not."""
    moved = [head.task.name for head in descent.heads if head.weight is None]
    kept = [name for name in parent.tasks if descent.keeps or name in moved]
    for head in descent.heads:
        if head.weight is not None and head.task.name in kept:
            raise UsageError(
                f"bundle {parent.name} has a head of {head.task.name} already; name the task "
                "otherwise, or drop the parent's heads with --drop-heads"
            )
    return kept


def _encoders(parent: Manifest, descent: Descent, kept: Sequence[str]) -> tuple[EncoderFacts, ...]:
    """The parent's encoders that a head of the child reads."""
    if len(parent.encoders) == 1 and parent.encoders[0].tasks is None:
        return tuple(parent.encoders)
    fresh = {h.task.name: h.reads(parent) for h in descent.heads if h.weight is not None}
    found = []
    for one in parent.encoders:
        tasks = [name for name in one.tasks or () if name in kept]
        tasks += [name for name, encoder in fresh.items() if encoder == one]
        if tasks:
            found.append(replace(one, tasks=tasks))
    return tuple(found)


def _models(
    parent: Bundle, descent: Descent, kept: Sequence[str], below: Sequence[EncoderFacts]
) -> tuple[dict[str, Path | bytes], dict[str, bool]]:
    """Each precision's model, and whether a new head's map could be added to all of them."""
    entries = parent.manifest.tasks
    wanted = [*(one.embedding for one in below), *kept, *(m for n in kept if (m := entries[n].map))]
    files: dict[str, Path | bytes] = {}
    maps = {head.task.name: True for head in descent.heads if head.weight is not None}
    for name in parent.manifest.model.values():
        graph = ModelGraph.read(parent.read(name), parent.file(name))
        graph.keep(wanted)
        for head in descent.heads:
            task = head.task.name
            if head.weight is not None:
                reads = head.reads(parent.manifest).embedding
                maps[task] &= graph.add_head(task, f"{task}_map", head.weight, head.bias, reads)
            elif (head.slope, head.offset) != (1.0, 0.0):
                for output in (task, entries[task].map):
                    if output:
                        graph.rescale(output, head.slope, head.offset)
        files[name] = bytes(graph)
    return files, maps


def _expected(
    parent: Bundle,
    descent: Descent,
    tasks: Mapping[str, TaskEntry],
    below: Sequence[EncoderFacts],
) -> Expected:
    """What an engine must reproduce: the parent's numbers, moved, and those of the new heads."""
    old = parent.manifest.self_test
    embeddings = {one.embedding for one in below}
    outputs = {n: v for n, v in old.outputs.items() if n in embeddings or n in tasks}
    by_task = {name: one for name, one in old.by_task.items() if name in tasks}
    if not embeddings <= outputs.keys():
        raise BundleError(f"bundle {parent.path} expects no embedding; export it again")
    for head in descent.heads:
        name = head.task.name
        if head.weight is not None:
            at = np.asarray(outputs[head.reads(parent.manifest).embedding], dtype=np.float64)
            weight, bias = (np.asarray(part, dtype=np.float64) for part in (head.weight, head.bias))
            outputs[name] = np.atleast_1d(weight @ at + bias).tolist()
            told = head.task.telling(outputs[name])
            by_task[name] = of_self_test(head.task, told, head.evidence)
        else:
            more = max(1.0, abs(head.slope))
            by_task[name] = {p: more * share for p, share in by_task.get(name, {}).items()}
            outputs[name] = [head.slope * value + head.offset for value in outputs[name]]
    return replace(old, outputs=outputs, by_task=by_task)


def _exposure(parent: Bundle, descent: Descent, tasks: Mapping[str, TaskEntry]) -> BundleExposure:
    """What set the encoder's weights, which are the parent's, and the heads of `tasks`."""
    known = exposures.read(parent)
    of_heads = {name: seen for name, seen in known.tasks.items() if name in tasks}
    of_encoders = {name: seen for name, seen in known.encoders.items() if name in tasks}
    for head in descent.heads:
        name = head.task.name
        like = name if head.weight is None else head.encoder_of
        below = known.encoder if like is None else known.below(like)
        if known.encoders:
            of_encoders[name] = below
        before = known.of(name) if head.weight is None else below
        of_heads[name] = before | descent.exposure
    return BundleExposure(known.encoder, of_heads, of_encoders)


def _parity(
    old: Manifest,
    descent: Descent,
    tasks: Mapping[str, TaskEntry],
    fresh: Mapping[str, ChildHead],
) -> dict[str, Any]:
    """How far the parent's models were from torch, of the heads that come from it."""
    slopes = {head.task.name: head.slope for head in descent.heads}
    found = {}
    for precision, facts in old.parity.items():
        given = {n: t for n, t in facts.get("tasks", {}).items() if n in tasks and n not in fresh}
        moved = {
            name: {**one, "shift": abs(slopes.get(name, 1.0)) * one["shift"]}
            for name, one in given.items()
        }
        found[precision] = {**facts, "tasks": moved}
    return found
