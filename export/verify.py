"""Parity of an exported model with torch, on real volumes: the gate before a bundle is written."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from export.engines import engines
from export.graph import EMBEDDING, BundleGraph
from export.reference import Array, Reference, Volume, feed, reference
from fmtool.errors import ParityError
from fmtool.task import Task

FP16_LIMIT = 65504.0 / 8
"""Largest |activation| allowed in a model that runs in FP16, an eighth of what FP16 holds."""

LOGIT_SPAN = 20.0
"""A binary task's logits, from one certainty to the other; 5e-3 of it moves p by at most 0.025."""

MAP_FACTOR = 10.0
"""A map is not averaged over positions: its error, relative to its spread, may be this larger."""


@dataclass(frozen=True)
class Difference:
    """How far one output of one engine was from torch, and how far it may be."""

    engine: str
    batch: int
    output: str
    error: float
    tolerance: float

    @property
    def share(self) -> float:
        """The error as a share of its tolerance; above 1, or NaN, it fails."""
        return self.error / self.tolerance


@dataclass(frozen=True)
class Report:
    """What was compared, every engine, batch size and output at its worst over the volumes."""

    differences: tuple[Difference, ...]
    peak_layer: str
    peak: float
    """The largest |activation| of the encoder, in float32, and the layer it was seen at."""

    @property
    def worst(self) -> Difference:
        """The difference closest to its tolerance."""
        return max(self.differences, key=lambda difference: difference.share)


class OutputMismatch(ParityError):
    """An output that left its tolerance, or is not finite (an error of NaN or infinity)."""

    def __init__(self, model: Path, worst: Difference) -> None:
        super().__init__(
            f"{model.name} does not reproduce torch: output {worst.output!r} differs by "
            f"{worst.error:.2g} in {worst.engine} at batch {worst.batch}, and {worst.tolerance:.2g}"
            " is allowed; nothing was written"
        )
        self.output, self.error, self.tolerance = worst.output, worst.error, worst.tolerance


class ActivationOverflow(ParityError):
    """An activation too large for FP16, which ONNX Runtime's CPU would not show."""

    def __init__(self, model: Path, layer: str, peak: float) -> None:
        super().__init__(
            f"{model.name} is not safe in FP16: an activation at {layer!r} reaches {peak:.3g}, and "
            f"{FP16_LIMIT:.0f} is allowed; export it without --fp16; nothing was written"
        )
        self.layer, self.peak = layer, peak


def parity(
    model_path: str | os.PathLike[str],
    graph: BundleGraph,
    volumes: Sequence[Volume],
    tolerance: float,
    batches: Sequence[int] = (1,),
    expected: Reference | None = None,
) -> Report:
    """Compare a model, in ONNX Runtime and OpenVINO on the CPU, with `graph` in float32 torch.

    Errors: of the embedding, the relative L2 difference, at most `tolerance`; of a task, the
    absolute difference in its unit, at most `limit(task, ...)`; of a map, its RMS difference
    relative to its spread over positions, at most ten times `tolerance`. A model with FP16
    weights must also keep every activation of the float32 reference below `FP16_LIMIT`.

    Args:
        model_path: the ONNX file.
        graph: what it was exported from.
        volumes: prepared volumes and masks, (z, y, x); real ones, noise has other activations.
        tolerance: 1e-5 for float32, 5e-3 for FP16.
        batches: the batch sizes to run; volumes repeat to fill one.
        expected: `reference(graph, volumes)`, where it is already known.

    Raises:
        OutputMismatch: naming the worst output, its error and its tolerance.
        ActivationOverflow: naming the layer (FP16 only).
    """
    path = Path(model_path)
    if not volumes:
        raise ValueError("parity needs at least one volume")
    expected = expected or reference(graph, volumes)
    layer = max(expected.peaks, key=lambda name: _nan_first(expected.peaks[name]))
    peak = expected.peaks[layer]
    if _is_half(path) and not peak < FP16_LIMIT:
        raise ActivationOverflow(path, layer, peak)
    found: dict[tuple[str, int, str], Difference] = {}
    for engine, run in engines(path):
        for batch in batches:
            for start in range(0, len(volumes), batch):
                picked = [i % len(volumes) for i in range(start, start + batch)]
                outputs = run(feed([volumes[i] for i in picked]))
                for row, i in enumerate(picked):
                    got = {name: outputs[name][row] for name in graph.output_names}
                    for name, error, limit in _compare(graph, got, expected.outputs[i], tolerance):
                        difference = Difference(engine, batch, name, error, limit)
                        key = (engine, batch, name)
                        if key not in found or not difference.share <= found[key].share:
                            found[key] = difference
    report = Report(tuple(found.values()), layer, peak)
    if not all(difference.share <= 1 for difference in report.differences):
        raise OutputMismatch(path, max(found.values(), key=lambda d: _nan_first(d.share)))
    return report


def limit(task: Task, value: float, tolerance: float) -> float:
    """The absolute error allowed of a task's output, in its unit (or logit).

    `tolerance` is a fraction of the valid range (0.6 years of age for 5e-3), of `LOGIT_SPAN` for
    a binary task, and of the value itself where a regression states no range.
    """
    if task.kind == "binary":
        return tolerance * LOGIT_SPAN
    if task.valid_range is None:
        return tolerance * max(1.0, abs(value))
    return tolerance * (task.valid_range[1] - task.valid_range[0])


def _compare(
    graph: BundleGraph, got: dict[str, Array], wanted: dict[str, Array], tolerance: float
) -> Iterator[tuple[str, float, float]]:
    """Each output's name, error and tolerance for one volume."""
    limits = {t.name: limit(t, float(wanted[t.name][0]), tolerance) for t in graph.tasks}
    for name in graph.output_names:
        difference = got[name].astype(np.float64) - wanted[name]
        if name == EMBEDDING:
            length = max(float(np.linalg.norm(wanted[name])), 1e-30)
            yield name, float(np.linalg.norm(difference)) / length, tolerance
        elif name in limits:
            yield name, float(np.abs(difference).max()), limits[name]
        else:
            spread = max(float(wanted[name].std()), limits[name.removesuffix("_map")])
            rms = float(np.sqrt(np.mean(difference**2)))
            yield name, rms / spread, MAP_FACTOR * tolerance


def _nan_first(value: float) -> float:
    return np.inf if np.isnan(value) else value


def _is_half(path: Path) -> bool:
    weights = onnx.load(path, load_external_data=False).graph.initializer
    return any(weight.data_type == onnx.TensorProto.FLOAT16 for weight in weights)
