"""A bundle's ONNX models: each precision exported, compared with torch, and described."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx

from export import half, verify
from export.graph import BundleGraph, LinearHead
from export.int8 import Mix, to_int8
from export.int8 import gate as int8_gate
from export.memory import check_room
from export.onnx import export
from export.precision import to_fp16
from export.reference import Outputs, Volume
from export.verify import ActivationOverflow, ParityReport, parity
from fmtool.bundle.encoder import EncoderFacts
from fmtool.errors import ParityError

GATES = {"float32": 1e-5, "float16": 5e-3, "int8": int8_gate.TOLERANCE}
"""Largest relative difference of the embedding, exported model against torch, on this machine."""


BATCHES = (1, 2)
"""What the gates run where no batch is declared: two rows show whether they are kept apart."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which models a bundle gets beside the float32 one, and what its gates run on.

    Attributes:
        fp16: whether an FP16 model, for a GPU.
        int8: real, prepared volumes to calibrate an INT8 model on, none of `volumes`; without any,
            none is made.
        volumes: real, prepared volumes and masks (z, y, x) for the gates, beside the template;
            where there are none, a variant of the template takes their place.
        batches: the batch sizes at which the gates run.
    """

    fp16: bool = False
    int8: Sequence[Volume] = ()
    volumes: Sequence[Volume] = ()
    batches: Sequence[int] = BATCHES


@dataclass(frozen=True)
class Exported:
    """A model that has passed its gate.

    Attributes:
        precision: "float32", "float16" or "int8".
        path: the ONNX file.
        bytes: its size.
        made: seconds it took to export.
        compared: seconds it took to compare with torch.
        report: what the comparison found.
        mix: of an INT8 model, which layers are.
        kept: of an FP16 model, the layers left in float32, as their activations are too large.
    """

    precision: str
    path: Path
    bytes: int
    made: float
    compared: float
    report: ParityReport
    mix: Mix | None = None
    kept: tuple[str, ...] = ()

    def describe(self) -> str:
        """Time and parity, for people."""
        worst = self.report.worst
        mixed = f"{self.mix.describe()}; " if self.mix else ""
        if self.kept:
            mixed = f"in float32, too large for FP16: {', '.join(self.kept)}; "
        return mixed + (
            f"made in {self.made:.1f} s, compared in {self.compared:.1f} s; {worst.output} at "
            f"{worst.share:.0%} of its tolerance, {worst.engine}, batch {worst.batch}"
        )


def export_models(
    graph: BundleGraph,
    heads: Sequence[LinearHead],
    folder: Path,
    wanted: Wanted,
    expected: Sequence[Outputs],
    encoders: Sequence[EncoderFacts],
    progress: Callable[[str], None],
) -> list[Exported]:
    """Write each precision's ONNX file into `folder`, the float32 one first.

    Args:
        graph: what to export.
        heads: its heads, whose own errors say what INT8 may shift them by.
        folder: an empty one.
        wanted: which models, its volumes all that the gates run on.
        expected: float32 torch on those volumes.
        encoders: the manifest's facts about them, some of which the files carry.
        progress: told each step as it begins.

    Raises:
        ParityError: at the first model that does not reproduce torch, or an INT8 one without int8.
        CapabilityError: if this machine has no room for the largest batch.
    """
    words = "; ".join(f"{e.architecture} {e.width:g} {e.sha256}" for e in encoders)
    volumes, batches = wanted.volumes, wanted.batches
    shape = volumes[0][0].shape
    assert len(shape) == 3
    plain = folder / "model.onnx"
    mix: Mix | None = None
    shifts = int8_gate.limits(heads)

    def quantised() -> Path:
        nonlocal mix
        judged = (graph, volumes, expected, shifts)
        score, quick = int8_gate.Score(*judged), int8_gate.Score(*judged, every=False)
        mix = to_int8(plain, folder / "model.int8.onnx", wanted.int8, score, quick)
        if all(layer.precision != "int8" for layer in mix.layers):
            raise ParityError(
                "no convolution bears int8: the model would be the float32 one under another name; "
                "leave --int8 out, or calibrate it on more scans (--calibration)"
            )
        return folder / "model.int8.onnx"

    makers: dict[str, Callable[[], Path]] = {
        "float32": lambda: export(graph, plain, shape=shape, metadata={"encoder": words})
    }
    if wanted.fp16:
        makers["float16"] = lambda: to_fp16(
            plain, folder / "model.fp16.onnx", embeddings=graph.embeddings
        )
    if wanted.int8:
        makers["int8"] = quantised
    models = []
    for precision, make in makers.items():
        progress(f"Exporting the {precision} model to ONNX")
        began = time.perf_counter()
        path = make()
        if precision == "float32":
            check_room(path, batches, wanted.fp16)
        made = time.perf_counter()
        progress(f"Comparing it with torch at batch {', '.join(map(str, batches))}")

        def compared(path: Path, name: str = precision) -> ParityReport:
            shift = shifts if name == "int8" else {}
            return parity(path, graph, volumes, GATES[name], batches, expected, shift, name)

        kept: tuple[str, ...] = ()
        try:
            report = compared(path)
        except ActivationOverflow as overflow:
            progress(f"{overflow.layer} reaches {overflow.peak:.3g}: it stays in float32")
            report, kept = _kept_in_float32(plain, path, volumes, compared, overflow, graph)
        done = time.perf_counter()
        size = path.stat().st_size
        spent = made - began, done - made
        models.append(Exported(precision, path, size, *spent, report, mix, kept))
    return models


def _kept_in_float32(
    plain: Path,
    path: Path,
    volumes: Sequence[Volume],
    compared: Callable[[Path], ParityReport],
    overflow: ActivationOverflow,
    graph: BundleGraph,
) -> tuple[ParityReport, tuple[str, ...]]:
    """The FP16 model written anew, its largest activations in float32, and which layers those are.

    Raises:
        ActivationOverflow: if no convolution would be left in FP16.
        ParityError: if the model does not reproduce torch all the same.
    """
    convolutions = {n.name for n in onnx.load(plain).graph.node if n.op_type == "Conv"}
    kept: dict[str, str] = {}
    while found := half.beyond(path, volumes, verify.FP16_LIMIT):
        if found.keys() <= kept.keys() or convolutions <= {*kept, *found}:
            raise overflow
        kept |= found
        to_fp16(plain, path, kept, graph.embeddings)
    return compared(path), tuple(dict.fromkeys(kept.values()))
