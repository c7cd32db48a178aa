"""The FP16 model of the full-size encoder: its size, its error on real scans, what it computes in.

The encoder has seeded random weights; the heads are zero maps. Scans are prepared as
`fmtool predict` does; the template joins them. The reference is float32 torch.

    python -m benchmarks.fp16 [SCAN ...] [--json FILE]
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto

from benchmarks import full_size
from benchmarks.shared import script
from export.graph import EMBEDDING, BundleGraph
from export.models import GATES
from export.onnx import export
from export.precision import to_fp16
from export.reference import Volume, template_volume
from export.verify import parity
from fmtool import bundle as bundles
from runtime import scan
from runtime.preprocess.pipeline import prepare

SIZE_BAR, ERROR_BAR = 0.51, 2e-3


def convolutions(model: Path) -> dict[str, int]:
    """How many convolutions have weights of each type."""
    graph = onnx.load(model).graph
    kinds = {
        weight.name: TensorProto.DataType.Name(weight.data_type) for weight in graph.initializer
    }
    return Counter(kinds[node.input[1]] for node in graph.node if node.op_type == "Conv")


def volumes(paths: Sequence[Path]) -> list[Volume]:
    """The demonstration bundle's template, then each scan, prepared by its networks."""
    with bundles.open() as bundle:
        found = [template_volume(bundle.template)]
        for path in paths:
            prepared = prepare(scan.read(path), bundle)
            found.append((prepared.volume, np.asarray(prepared.mask, dtype=np.float32)))
    return found


def measure(paths: Sequence[Path]) -> dict[str, Any]:
    """Size, error, convolutions and the largest activation of the FP16 model."""
    graph = BundleGraph(full_size.encoder(), [])
    seen = volumes(paths)
    with tempfile.TemporaryDirectory() as folder:
        plain = export(graph, Path(folder) / "model.onnx")
        half = to_fp16(plain, Path(folder) / "model.fp16.onnx")
        report = parity(half, graph, seen, GATES["float16"])
        return {
            "volumes": len(seen),
            "megabytes": half.stat().st_size / 1e6,
            "size_share": half.stat().st_size / plain.stat().st_size,
            "embedding_error": {
                d.engine: d.error for d in report.differences if d.output == EMBEDDING
            },
            "peak_activation": report.peak,
            "peak_layer": report.peak_layer,
            "convolutions": convolutions(half),
        }


def met(found: dict[str, Any]) -> bool:
    """Whether the model is small enough, close enough, and FP16 in every convolution."""
    return (
        found["size_share"] <= SIZE_BAR
        and max(found["embedding_error"].values()) <= ERROR_BAR
        and set(found["convolutions"]) == {"FLOAT16"}
    )


def main() -> None:
    """Parse, measure, print; exit code 1 where a bar is missed."""
    args = script.options(__doc__, "scans*", json=Path)
    found = measure(args.scans)
    script.tell(found, args.json)
    if not met(found):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
