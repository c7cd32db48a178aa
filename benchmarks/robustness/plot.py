"""The figures as a picture: for each output, every perturbation's shift as a share of the error."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

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
