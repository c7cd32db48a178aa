"""A bundle's ONNX models: each precision exported, compared with torch, and described."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from export.graph import BundleGraph, LinearHead
from export.int8 import Mix, to_int8
from export.int8 import gate as int8_gate
from export.memory import check_room
from export.onnx import export
from export.precision import to_fp16
from export.reference import Outputs, Volume
from export.verify import Report, parity

GATES = {"float32": 1e-5, "float16": 5e-3, "int8": int8_gate.TOLERANCE}
"""Largest relative difference of the embedding, exported model against torch, on this machine."""


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
    """

    precision: str
    path: Path
    bytes: int
    made: float
    compared: float
    report: Report
    mix: Mix | None = None

    def describe(self) -> str:
        """Time and parity, for people."""
        worst = self.report.worst
        mixed = f"{self.mix.describe()}; " if self.mix else ""
        return mixed + (
            f"made in {self.made:.1f} s, compared in {self.compared:.1f} s; {worst.output} at "
            f"{worst.share:.0%} of its tolerance, {worst.engine}, batch {worst.batch}"
        )


def export_models(
    graph: BundleGraph,
    heads: Sequence[LinearHead],
    folder: Path,
    fp16: bool,
    int8: Sequence[Volume],
    volumes: Sequence[Volume],
    expected: Sequence[Outputs],
    encoder: Mapping[str, Any],
    batches: Sequence[int],
    progress: Callable[[str], None],
) -> list[Exported]:
    """Write each precision's ONNX file into `folder`, the float32 one first.

    Args:
        graph: what to export.
        heads: its heads, whose own errors say what INT8 may shift them by.
        folder: an empty one.
        fp16: whether to make the FP16 model too.
        int8: prepared volumes to calibrate an INT8 model on, none of `volumes`; it takes some.
        volumes: for the gates.
        expected: float32 torch on them.
        encoder: the manifest's facts about it, some of which the files carry.
        batches: the gates run these batch sizes.
        progress: told each step as it begins.

    Raises:
        ParityError: at the first model that does not reproduce torch.
        CapabilityError: if this machine has no room for the largest batch.
    """
    words = f"{encoder['architecture']} {encoder['width']:g} {encoder['sha256']}"
    shape = volumes[0][0].shape
    assert len(shape) == 3
    plain = folder / "model.onnx"
    mix: Mix | None = None
    shifts = int8_gate.limits(heads)

    def quantised() -> Path:
        nonlocal mix
        judged = (graph, volumes, expected, shifts)
        score, quick = int8_gate.Score(*judged), int8_gate.Score(*judged, every=False)
        mix = to_int8(plain, folder / "model.int8.onnx", int8, score, quick)
        return folder / "model.int8.onnx"

    makers: dict[str, Callable[[], Path]] = {
        "float32": lambda: export(graph, plain, shape=shape, metadata={"encoder": words})
    }
    if fp16:
        makers["float16"] = lambda: to_fp16(plain, folder / "model.fp16.onnx")
    if int8:
        makers["int8"] = quantised
    models = []
    for precision, make in makers.items():
        progress(f"Exporting the {precision} model to ONNX")
        began = time.perf_counter()
        path = make()
        if precision == "float32":
            check_room(path, batches, fp16)
        made = time.perf_counter()
        progress(f"Comparing it with torch at batch {', '.join(map(str, batches))}")
        allowed = shifts if precision == "int8" else {}
        report = parity(
            path, graph, volumes, GATES[precision], batches, expected, allowed, precision
        )
        done = time.perf_counter()
        size = path.stat().st_size
        models.append(Exported(precision, path, size, made - began, done - made, report, mix))
    return models
