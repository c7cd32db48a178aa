"""Which stage moves what: medians over heads, a row for each perturbation and stage."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.robustness.measure import HeadOutputs
from benchmarks.robustness.outputs import Output, distance
from benchmarks.robustness.summary import between

Part = tuple[str, HeadOutputs]


def markdown(parts: Sequence[Part], outputs: Sequence[Output]) -> str:
    """A Markdown table.

    Args:
        parts: by `measure.HeadBench.by_stage`, of all heads.
        outputs: what was watched.
    """
    base = {row.head: row for stage, row in parts if stage == "base"}
    apart = between(list(base.values()))
    moved: dict[tuple[str, str], list[tuple[HeadOutputs, HeadOutputs]]] = {}
    for stage, row in parts:
        if stage != "base":
            moved.setdefault((row.name, stage), []).append((row, base[row.head]))
    heading = ["seen otherwise", "stage", *(f"{o.task}, {o.unit}" for o in outputs), "embedding"]
    lines = [f"| {' | '.join(heading)} |", f"|{'---|' * len(heading)}"]
    for (name, stage), pairs in moved.items():
        cells = [name, stage]
        for output in outputs:
            shifts = [abs(a.values[output.task] - b.values[output.task]) for a, b in pairs]
            share = f" ({np.median(shifts) / output.error:.1%})" if output.error else ""
            cells.append(f"{np.median(shifts):.2g}{share}")
        distances = [distance(a.embedding, b.embedding) for a, b in pairs]
        cells.append(f"{np.median(distances) / apart:.1%}" if apart else "-")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
