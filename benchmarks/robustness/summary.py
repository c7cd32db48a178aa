"""From rows to figures: how far each output moves, and against what that is much or little.

The figures are shown as Markdown tables and as a picture; is the bar met?
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.robustness.measure import HeadOutputs, Output, distance
from benchmarks.robustness.perturbations import ALL, Perturbation
from benchmarks.shared import script

BAR = 0.1
"""Of an output's cross-validated error: the most that a judged perturbation may move it, median."""

FORMAT = 1


def summary(
    rows: Sequence[HeadOutputs],
    outputs: Sequence[Output],
    facts: Mapping[str, Any],
    skipped: Mapping[str, str],
    perturbations: Iterable[Perturbation] = ALL,
) -> dict[str, Any]:
    """Plain data: what `runtime.trust.robustness` reads from a bundle.

    Args:
        rows: by `measure.HeadBench.rows`.
        facts: about the bundle, the engine and the version.
        skipped: other tools that were not compared, and why.
        perturbations: those that were tried.
    """
    base = {row.head: row for row in rows if not row.name}
    apart = between([row for row in rows if not row.name])
    groups = {one.name: (one.group, one.judged) for one in perturbations}
    names = dict.fromkeys(row.name for row in rows if row.name)
    found = []
    for name in names:
        group, judged = groups.get(name, ("other tool", False))
        mine = [row for row in rows if row.name == name]
        moved = [(row, base[row.head]) for row in mine if not row.refused]
        found.append(
            {
                "name": name,
                "group": group,
                "judged": judged,
                "heads": len(mine),
                "refused": len(mine) - len(moved),
                "warned": _warned(mine),
                "outputs": {o.task: _shift(o, moved) for o in outputs},
                "embedding": _spread([distance(a.embedding, b.embedding) / apart for a, b in moved])
                if apart
                else None,
                "brain_volume_percent": _spread(_volumes(moved)),
            }
        )
    return {
        "format": FORMAT,
        **facts,
        "heads": len(base),
        "warned": _warned(base.values()),
        "sets": sorted({head.split("/")[0] for head in base}),
        "bar": BAR,
        "errors": {o.task: {"error": o.error, "unit": o.unit} for o in outputs},
        "values": {o.task: _range([row.values[o.task] for row in base.values()]) for o in outputs},
        "between_subjects": apart,
        "perturbations": found,
        "skipped": dict(skipped),
    }


def between(rows: Sequence[HeadOutputs]) -> float | None:
    """The median distance of two subjects' embeddings, within sets; None of fewer than two."""
    pairs = [
        distance(a.embedding, b.embedding)
        for a, b in itertools.combinations(rows, 2)
        if a.head.split("/")[0] == b.head.split("/")[0]
    ]
    return float(np.median(pairs)) if pairs else None


def _shift(
    output: Output, moved: Sequence[tuple[HeadOutputs, HeadOutputs]]
) -> dict[str, Any] | None:
    """The absolute shift in the output's unit, over heads, and its share of the error."""
    shifts = _spread([abs(a.values[output.task] - b.values[output.task]) for a, b in moved])
    if shifts is None:
        return None
    share = shifts["median"] / output.error if output.error else None
    return {**shifts, "share": share}


def _warned(rows: Iterable[HeadOutputs]) -> int | None:
    """How many of them a check warns of; None where none was asked."""
    asked = [bool(row.warned) for row in rows if row.warned is not None]
    return sum(asked) if asked else None


def _volumes(moved: Sequence[tuple[HeadOutputs, HeadOutputs]]) -> list[float]:
    """How much the brain volume changes, per cent; of other tools' masks none is told."""
    pairs = [(a.brain_volume_ml, b.brain_volume_ml) for a, b in moved]
    return [100.0 * abs(a / b - 1.0) for a, b in pairs if np.isfinite(a)]


def _spread(values: Sequence[float]) -> dict[str, float] | None:
    if not values:
        return None
    return {
        "median": float(np.median(values)),
        "q3": float(np.quantile(values, 0.75)),
        "max": float(np.max(values)),
    }


def _range(values: Sequence[float]) -> dict[str, float]:
    """How much the output differs from head to head at all."""
    low, high = np.quantile(values, [0.25, 0.75])
    return {"median": float(np.median(values)), "q1": float(low), "q3": float(high)}


def markdown(found: Mapping[str, Any]) -> str:
    """A table with a row for each perturbation.

    Args:
        found: by `summary.summary`.
    """
    tasks = list(found["errors"])
    heading = ["seen otherwise", *(f"{t}, {found['errors'][t]['unit']}" for t in tasks)]
    heading += ["embedding", "brain volume", "warned of", "refused"]
    rows = []
    for one in found["perturbations"]:
        cells = [f"{one['name']}{' *' if one['judged'] else ''}"]
        cells += [_shift_cell(one["outputs"][task]) for task in tasks]
        cells += [
            _percent_cell(one["embedding"], 100.0),
            _percent_cell(one["brain_volume_percent"], 1.0),
        ]
        cells += [_count_cell(one[said], one["heads"]) for said in ("warned", "refused")]
        rows.append(cells)
    as_they_are = _count_cell(found["warned"], found["heads"])
    return f"{script.markdown(heading, rows)}\n\nHeads warned of as they are: {as_they_are}.\n"


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


def _shift_cell(shift: Mapping[str, float] | None) -> str:
    """Median and largest, and the median's share of the error."""
    if shift is None:
        return "-"
    share = "" if shift["share"] is None else f" ({shift['share']:.1%})"
    return f"{shift['median']:.2g}{share}, at most {shift['max']:.2g}"


def _count_cell(some: int | None, of: int) -> str:
    return "-" if some is None else f"{some} of {of}"


def _percent_cell(spread: Mapping[str, float] | None, scale: float) -> str:
    if spread is None:
        return "-"
    value = scale * spread["median"]
    return f"{value:.0f} %" if value >= 10.0 else f"{value:.2g} %"


Part = tuple[str, HeadOutputs]


def by_stage(parts: Sequence[Part], outputs: Sequence[Output]) -> str:
    """A Markdown table.

    Args:
        parts: by `measure.HeadBench.by_stage`, of all heads.
    """
    base = {row.head: row for stage, row in parts if stage == "base"}
    apart = between(list(base.values()))
    moved: dict[tuple[str, str], list[tuple[HeadOutputs, HeadOutputs]]] = {}
    for stage, row in parts:
        if stage != "base":
            moved.setdefault((row.name, stage), []).append((row, base[row.head]))
    heading = ["seen otherwise", "stage", *(f"{o.task}, {o.unit}" for o in outputs), "embedding"]
    rows = []
    for (name, stage), pairs in moved.items():
        cells = [name, stage]
        for output in outputs:
            shifts = [abs(a.values[output.task] - b.values[output.task]) for a, b in pairs]
            share = f" ({np.median(shifts) / output.error:.1%})" if output.error else ""
            cells.append(f"{np.median(shifts):.2g}{share}")
        distances = [distance(a.embedding, b.embedding) for a, b in pairs]
        cells.append(f"{np.median(distances) / apart:.1%}" if apart else "-")
        rows.append(cells)
    return script.markdown(heading, rows) + "\n"


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
