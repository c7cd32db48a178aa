"""Parity of an exported model with torch, on real volumes: the gate before a bundle is written."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto

from export import half
from export.graph import BundleGraph
from export.reference import Array, Outputs, Volume, feed, reference
from export.tolerance import limit
from fmtool.errors import ParityError, ShapeError, ToleranceError
from runtime.engines import here
from runtime.engines.base import Engine
from runtime.engines.opening import graph_of, open_file
from runtime.engines.table import ROWS

FP16_LIMIT = 65504.0 / 8
"""Largest |activation| allowed in a model that runs in FP16, an eighth of what FP16 holds."""

BFLOAT16 = 0.2
"""Of the float32 graph where an engine computes it in bfloat16: rounding moves the embedding by
hundredths. Whether a head bears that, the self-test decides on each machine, and runs it in float32
where it does not; further off, it is not rounding but another network."""

MAP_FACTOR = 10.0
"""A map is not averaged over positions: its error, relative to its spread, may be this larger."""


@dataclass(frozen=True)
class Difference:
    """How far one output of one engine, in one precision, was from torch, and how far it may be."""

    engine: str
    batch: int
    output: str
    error: float
    tolerance: float
    precision: str = "float32"

    @property
    def share(self) -> float:
        """The error as a share of its tolerance; above 1, or NaN, it fails."""
        return self.error / self.tolerance


@dataclass(frozen=True)
class ParityReport:
    """What was compared.

    Attributes:
        tolerance: of the embedding, relative.
        volumes: how many were run.
        differences: of every engine, batch size and output, the worst over the volumes.
        rounded: the same of a float32 graph in bfloat16, on a CPU that computes in it.
        peak: the largest |activation| in FP16 and where it is; 0 of a model without FP16.
    """

    tolerance: float
    volumes: int
    differences: tuple[Difference, ...]
    rounded: tuple[Difference, ...] = ()
    peak: float = 0.0
    peak_layer: str = ""

    @property
    def worst(self) -> Difference:
        """The difference closest to its tolerance."""
        return max(self.differences, key=_badness)

    def of(self, output: str) -> Difference:
        """The worst difference of one output."""
        return max((d for d in self.differences if d.output == output), key=_badness)


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
    expected: Sequence[Outputs] | None = None,
    allowed: Mapping[str, float] | None = None,
    precision: str | None = None,
) -> ParityReport:
    """Compare a model, in every engine of the CPU, with `graph` in float32 torch.

    The engines are opened as the runtime opens them (`engines`), so what it rearranges in the model
    is compared too.

    Errors: of the embedding, the relative L2 difference, at most `tolerance`; of a task, the
    absolute difference in its unit, at most `limit(task, ...)`; of a map, its RMS difference
    relative to its spread over positions, at most ten times `tolerance`. A model with FP16
    weights is also run with every activation rounded to FP16 (`export.half`), and each of them must
    stay below `FP16_LIMIT`. A float32 model is also run in bfloat16 where the CPU computes in
    it, and must be within `BFLOAT16` there.

    At batch 1 every volume is run; at a larger batch one batch, in which the volumes take turns:
    what a batch size can break, it breaks in its first batch, and each takes gigabytes. torch
    never runs a batch.

    Args:
        model_path: the ONNX file.
        graph: what it was exported from.
        volumes: prepared volumes and masks, (z, y, x); real ones, noise has other activations.
        tolerance: 1e-5 for float32, 5e-3 for FP16.
        batches: the batch sizes to run.
        expected: `reference(graph, volumes)`, where it is already known.
        allowed: tasks with another limit than `limit` gives, in their units.
        precision: "float32", "float16" or "int8": which of a bundle's models it is to be; the one
            that its weights tell when absent.

    Raises:
        ShapeError: naming the output that is missing or of another shape.
        ToleranceError: naming the worst output, its error and its tolerance.
        ActivationOverflow: naming the layer (FP16 only).

    Example:
        >>> import numpy as np
        >>> from export.graph import BundleGraph
        >>> from export.onnx import export
        >>> from export.verify import parity
        >>> from training import encoders
        >>> graph = BundleGraph(encoders.build("resnet18", width=0.0625), heads=[])
        >>> model = export(graph, "model.onnx", shape=(32, 32, 32))
        >>> volume = np.random.default_rng(0).random((32, 32, 32), np.float32)
        >>> report = parity(model, graph, [(volume, np.ones_like(volume))], tolerance=1e-5)
        >>> report.of("embedding").error < 1e-5
        True
    """
    path = Path(model_path)
    if not volumes:
        raise ValueError("parity needs at least one volume")
    expected = expected or reference(graph, volumes)
    precision = precision or kind(path)
    allowed = allowed or {}
    found = compare(path, precision, graph, volumes, tolerance, batches, expected, allowed)
    layer, peak = "", 0.0
    if precision == "float16":
        outputs, peaks = half.run_half(path, volumes)
        layer, peak = half.worst(peaks)
        if not peak < FP16_LIMIT:
            raise ActivationOverflow(path, layer, peak)
        for got, wanted in zip(outputs, expected, strict=True):
            for difference in _differences(graph, got, wanted, tolerance, allowed):
                difference = replace(difference, engine=half.ENGINE, batch=1, precision="float16")
                found += (difference,)
    rounded = tuple(d for d in found if d.precision == "bfloat16")
    exact = tuple(d for d in found if d not in rounded)
    report = ParityReport(tolerance, len(volumes), exact, rounded, peak, layer)
    worst = max(found, key=_badness)
    if not worst.share <= 1:
        raise _beyond(path, worst)
    return report


def kind(path: Path) -> str:
    """Which of a bundle's models an ONNX file is, by its weights."""
    weights = onnx.load(path, load_external_data=False).graph.initializer
    types = {weight.data_type for weight in weights}
    if TensorProto.FLOAT16 in types:
        return "float16"
    return "int8" if TensorProto.INT8 in types else "float32"


def engines(path: Path, precision: str) -> Generator[tuple[str, Engine], None, None]:
    """Each engine of the CPU that is here, by its name, in each precision it runs the model in.

    They are those of `runtime.engines.opening.open_bundle`, the quickest first, and one at a time:
    a full-size model takes GBs. No CPU computes in FP16: there such a model is run in float32, and
    `export.half` rounds.

    Args:
        path: the ONNX file.
        precision: which of a bundle's models it is: "float32", "float16" or "int8".
    """
    for row in ROWS:
        if row.device != "cpu" or here.missing(row):
            continue
        computed = [each for each in here.precisions(row) if graph_of(each) == precision]
        for each in computed or ["float32"]:
            with open_file(row, path, "cpu", each) as engine:
                yield f"{row.title} {engine.version}", engine


def compare(
    path: Path,
    precision: str,
    graph: BundleGraph,
    volumes: Sequence[Volume],
    tolerance: float,
    batches: Sequence[int],
    expected: Sequence[Outputs],
    allowed: Mapping[str, float],
    count: int | None = None,
) -> tuple[Difference, ...]:
    """Every engine's, batch size's and output's worst difference, whatever it is; see `parity`.

    `count` takes the first of `engines` alone.

    Raises:
        ShapeError: naming the output that is missing or of another shape.
    """
    found: dict[tuple[str, str, int, str], Difference] = {}
    with closing(engines(path, precision)) as opened:
        for name, engine in islice(opened, count):
            bound = BFLOAT16 if engine.precision == "bfloat16" else tolerance
            for batch in batches:
                for picked in _rows(len(volumes), batch):
                    outputs = engine.run(feed([volumes[i] for i in picked]))
                    _check_shapes(path, name, outputs, [expected[i] for i in picked])
                    for row, i in enumerate(picked):
                        got = {output: outputs[output][row] for output in graph.output_names}
                        for difference in _differences(graph, got, expected[i], bound, allowed):
                            difference = replace(
                                difference, engine=name, batch=batch, precision=engine.precision
                            )
                            key = (name, engine.precision, batch, difference.output)
                            if key not in found or _badness(difference) > _badness(found[key]):
                                found[key] = difference
    return tuple(found.values())


def _rows(volumes: int, batch: int) -> list[list[int]]:
    """The volumes of each batch that is run, by number."""
    if batch == 1:
        return [[i] for i in range(volumes)]
    return [[i % volumes for i in range(batch)]]


def _check_shapes(
    path: Path, engine: str, outputs: dict[str, Array], expected: Sequence[Outputs]
) -> None:
    where = f"{path.name} in {engine} at batch {len(expected)}"
    for name, wanted in expected[0].items():
        if name not in outputs:
            said = ", ".join(outputs) or "nothing"
            raise ShapeError(f"{where} gives no output {name!r}, only {said}; nothing was written")
        shape = (len(expected), *wanted.shape)
        if outputs[name].shape != shape:
            raise ShapeError(
                f"{where} gives output {name!r} of the shape {outputs[name].shape}, and torch's is "
                f"{shape}; nothing was written"
            )


def _beyond(path: Path, bad: Difference) -> ToleranceError:
    off = f"differs by {bad.error:.2g}" if np.isfinite(bad.error) else "is not finite"
    return ToleranceError(
        f"{path.name} does not reproduce torch: output {bad.output!r} {off} in {bad.engine} "
        f"({bad.precision}) at batch {bad.batch}, and {bad.tolerance:.2g} is allowed; nothing was "
        "written",
        bad.output,
        bad.error,
        bad.tolerance,
        bad.engine,
        bad.batch,
    )


def _differences(
    graph: BundleGraph,
    got: Outputs,
    wanted: Outputs,
    tolerance: float,
    allowed: Mapping[str, float],
) -> Iterator[Difference]:
    """Each output's error and tolerance for one volume; engine and batch are left open."""
    told = {t.name: t.telling(wanted[t.name].tolist()) for t in graph.tasks}
    limits = {
        t.name: limit(t, told[t.name], tolerance, graph.evidence[t.name]) for t in graph.tasks
    }
    limits |= allowed
    limits = {t.name: limits[t.name] * t.slack(told[t.name]) for t in graph.tasks}
    for name in graph.output_names:
        difference = got[name].astype(np.float64) - wanted[name]
        if name in graph.embeddings:
            length = max(float(np.linalg.norm(wanted[name])), 1e-30)
            error, bound = float(np.linalg.norm(difference)) / length, tolerance
        elif name in limits:
            error, bound = float(np.abs(difference).max()), limits[name]
        else:
            least = limits[name.removesuffix("_map")]
            spread = np.maximum(wanted[name].std(axis=(-3, -2, -1)), least)  # of each class's map
            off = np.sqrt(np.mean(difference**2, axis=(-3, -2, -1))) / spread
            error, bound = float(off.max()), MAP_FACTOR * tolerance
        yield Difference("", 0, name, error, bound)


def _badness(difference: Difference) -> float:
    """Its share, so that one that is not finite is the worst of all."""
    return difference.share if np.isfinite(difference.share) else np.inf
