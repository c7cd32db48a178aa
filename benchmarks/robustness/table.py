"""The figures as Markdown tables and as a picture, and whether the bar is met."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.robustness.measure import HeadOutputs, Output, distance
from benchmarks.robustness.summary import between


def markdown(found: Mapping[str, Any]) -> str:
    """A table with a row for each perturbation.

    Args:
        found: by `summary.summary`.
    """
    tasks = list(found["errors"])
    heading = ["seen otherwise", *(f"{t}, {found['errors'][t]['unit']}" for t in tasks)]
    heading += ["embedding", "brain volume", "warned of", "refused"]
    lines = [_row(heading), _row(["---"] * len(heading))]
    for one in found["perturbations"]:
        cells = [f"{one['name']}{' *' if one['judged'] else ''}"]
        cells += [_shift(one["outputs"][task]) for task in tasks]
        cells += [_percent(one["embedding"], 100.0), _percent(one["brain_volume_percent"], 1.0)]
        cells += [_count(one[said], one["heads"]) for said in ("warned", "refused")]
        lines.append(_row(cells))
    as_they_are = _count(found["warned"], found["heads"])
    return "\n".join([*lines, "", f"Heads warned of as they are: {as_they_are}."]) + "\n"


def verdicts(found: Mapping[str, Any]) -> list[str]:
    """For each output, the judged perturbation that moves it most, and whether that is too far."""
    said = []
    for task, error in found["errors"].items():
        shares = {
            one["name"]: one["outputs"][task]["share"]
            for one in found["perturbations"]
            if one["judged"] and one["outputs"][task]
        }
        if error["error"] is None or not shares:
            said.append(f"{task}: the bundle holds no cross-validated error to judge it by.")
            continue
        worst = max(shares, key=lambda name: shares[name])
        verdict = "met" if shares[worst] <= found["bar"] else "MISSED"
        said.append(
            f"{task}: {verdict}: {worst} moves it most, by {shares[worst]:.1%} of its "
            f"cross-validated error ({error['error']:.3g} {error['unit']}), median of "
            f"{found['heads']} heads; the bar is {found['bar']:.0%}."
        )
    return said


def _shift(shift: Mapping[str, float] | None) -> str:
    """Median and largest, and the median's share of the error."""
    if shift is None:
        return "-"
    share = "" if shift["share"] is None else f" ({shift['share']:.1%})"
    return f"{shift['median']:.2g}{share}, at most {shift['max']:.2g}"


def _count(some: int | None, of: int) -> str:
    return "-" if some is None else f"{some} of {of}"


def _percent(spread: Mapping[str, float] | None, scale: float) -> str:
    if spread is None:
        return "-"
    value = scale * spread["median"]
    return f"{value:.0f} %" if value >= 10.0 else f"{value:.2g} %"


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


Part = tuple[str, HeadOutputs]


def by_stage(parts: Sequence[Part], outputs: Sequence[Output]) -> str:
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


_COLOURS = {
    "pose": "#3b6ea8",
    "voxels": "#4c9f70",
    "intensity": "#c77d2e",
    "coverage": "#8c6bb1",
    "other tool": "#777777",
}


def plot(found: Mapping[str, Any], path: Path) -> None:
    """Bars for the medians, lines to the largest; the embedding's panel is the last.

    Args:
        found: by `summary.summary`.
        path: a PNG, SVG or PDF.
    """
    from matplotlib.figure import Figure

    tasks = [task for task, error in found["errors"].items() if error["error"]]
    rows = found["perturbations"]
    figure = Figure(figsize=(4.0 + 3.2 * (len(tasks) + 1), 0.28 * len(rows) + 1.6))
    panels = figure.subplots(1, len(tasks) + 1, sharey=True, squeeze=False)[0]
    at = range(len(rows))
    colours = [_COLOURS[one["group"]] for one in rows]
    for panel, task in zip(panels, [*tasks, None], strict=True):
        if task is None:
            spreads, scale = [one["embedding"] for one in rows], 100.0
            panel.set_xlabel("% of the distance between subjects")
            panel.set_title("embedding")
        else:
            spreads = [one["outputs"][task] for one in rows]
            scale = 100.0 / found["errors"][task]["error"]
            panel.axvline(100.0 * found["bar"], color="#b03030", linewidth=1)
            panel.set_xlabel("% of its cross-validated error")
            panel.set_title(task)
        medians = [scale * s["median"] if s else 0.0 for s in spreads]
        most = [scale * s["max"] if s else 0.0 for s in spreads]
        panel.barh(at, medians, color=colours)
        panel.hlines(at, medians, most, color=colours, linewidth=1)
    panels[0].set_yticks(at, [f"{one['name']}{' *' if one['judged'] else ''}" for one in rows])
    panels[0].invert_yaxis()
    figure.suptitle(
        f"{found['bundle']['name']}: {found['heads']} heads, median (bar) and largest (line); "
        "* is judged by the red line"
    )
    figure.tight_layout()
    figure.savefig(path, dpi=110)
