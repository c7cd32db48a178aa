"""A bundle's manifest: what it holds, how well its heads did, what an engine must reproduce."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import fmtool
from export.graph import BundleGraph, LinearHead, map_name
from export.models import Exported
from export.reference import Outputs
from export.tolerance import SELF_TEST, of_self_test
from fmtool.bundle.encoder import EncoderFacts
from fmtool.bundle.exposure import FILE as EXPOSURE
from fmtool.bundle.exposure import UNKNOWN, Exposure
from fmtool.bundle.manifest import Expected, Manifest, StripFiles, TaskEntry
from runtime.trust import FILE as TRUST

LOCATE, SEGMENT, TEMPLATE = "strip_locate.onnx", "strip_segment.onnx", "template.nii.gz"
"""The preprocessing parts' names inside a bundle."""


@dataclass(frozen=True)
class BundleNotes:
    """What a bundle's maker says of it.

    Attributes:
        name: the bundle's.
        source: where the encoder's weights come from, in words.
        limits: sentences: the sample's ages, its site, and what follows.
        calibration: the quality checks' normal ranges, as `runtime.quality` reads them.
        demonstration: whether its values are for show only.
        seen: whose scans and labels set the weights of an encoder given as a module.
    """

    name: str
    source: str = ""
    limits: Sequence[str] = ()
    calibration: Mapping[str, Any] = field(default_factory=dict)
    demonstration: bool = False
    seen: Exposure = UNKNOWN


def manifest(
    notes: BundleNotes,
    graph: BundleGraph,
    heads: Sequence[LinearHead],
    encoders: Sequence[EncoderFacts],
    models: Sequence[Exported],
    expected: Outputs,
) -> Manifest:
    """The manifest, but for its `files`.

    Args:
        notes: what the maker says.
        graph: the exported graph.
        heads: its heads.
        encoders: facts about its encoders.
        models: each precision's, through its gate.
        expected: float32 torch on the self-test volume.
    """
    named = {head.task.name: head for head in heads}
    return Manifest(
        name=notes.name,
        created=datetime.now(UTC).date().isoformat(),
        fmtool=fmtool.__version__,
        encoders=encoders,
        tasks={
            n: TaskEntry(h.task, dict(h.evidence), map_name(n), thresholds=h.thresholds)
            for n, h in named.items()
        },
        model={model.precision: model.path.name for model in models},
        parity={model.precision: _parity(graph, model) for model in models},
        strip=StripFiles(LOCATE, SEGMENT),
        template=TEMPLATE,
        trust=TRUST if any(head.trust for head in heads) else None,
        exposure=EXPOSURE,
        self_test=_self_test(graph, heads, expected),
        calibration=notes.calibration,
        demonstration=notes.demonstration,
        limits=notes.limits,
    )


def trust_bytes(heads: Sequence[LinearHead]) -> bytes:
    """The file that the field `trust` names: what the heads know of their limits, by task."""
    found = {head.task.name: head.trust.to_dict() for head in heads if head.trust}
    return (json.dumps(found, allow_nan=False) + "\n").encode()


def _parity(graph: BundleGraph, model: Exported) -> dict[str, Any]:
    """How far the model was from torch where it was exported, and what was compared."""
    report, worst = model.report, model.report.worst
    found: dict[str, Any] = {
        "tolerance": report.tolerance,
        "volumes": report.volumes,
        "batches": sorted({d.batch for d in report.differences}),
        "engines": list(dict.fromkeys(d.engine for d in report.differences)),
        "embedding": max(report.of(name).error for name in graph.embeddings),
        "tasks": {
            task.name: {
                "shift": report.of(task.name).error,
                "unit": task.unit if task.kind == "regression" else "logit",
                "allowed": report.of(task.name).tolerance,
            }
            for task in graph.tasks
        },
        "worst": {
            "output": worst.output,
            "share": worst.share,
            "engine": worst.engine,
            "batch": worst.batch,
        },
    }
    if report.peak_layer:
        found["peak"] = {"activation": report.peak, "layer": report.peak_layer}
    if model.mix:
        found["layers"] = {layer.name: layer.precision for layer in model.mix.layers}
    if model.kept:
        found["float32_layers"] = list(model.kept)
    return found


def _self_test(graph: BundleGraph, heads: Sequence[LinearHead], wanted: Outputs) -> Expected:
    """What an engine must reproduce on the template, and within which tolerance."""
    names = (*graph.embeddings, *(task.name for task in graph.tasks))
    # The fewest digits that tell a float32: of a gridded encoder there are ten thousands.
    outputs = {n: [float(str(v)) for v in wanted[n]] for n in names}
    tasks = {
        n: of_self_test(h.task, h.task.telling(outputs[n]), h.evidence)
        for n, h in ((head.task.name, head) for head in heads)
    }
    return Expected(outputs, SELF_TEST, tasks)
