"""The protocols' two kinds of plot: values side by side, and curves; without a display."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

Rows = Sequence[dict[str, Any]]


def forest(rows: Rows, title: str, label: str = "system", panel: str = "task") -> Figure:
    """A dot with its interval per row, a panel per task; the baseline is a dashed line.

    Args:
        rows: with "value", "low", "high", "baseline", "metric", "unit" and the two below.
        title: of the whole.
        label: the column that names a row.
        panel: the column that divides rows into panels.
    """
    panels = list(dict.fromkeys(row[panel] for row in rows))
    most = max(sum(row[panel] == name for row in rows) for name in panels)
    figure, axes = _figure(len(panels), 4.6, 1.3 + 0.32 * most, title)
    for axis, name in zip(axes, panels, strict=True):
        shown = [row for row in rows if row[panel] == name][::-1]
        for y, row in enumerate(shown):
            axis.plot([row["low"], row["high"]], [y, y], color="#35618f")
            axis.plot(row["value"], y, "o", color="#35618f")
        axis.axvline(shown[0]["baseline"], linestyle="--", color="#888888")
        axis.set_yticks(range(len(shown)), [row[label] for row in shown])
        axis.set_title(name)
        axis.set_xlabel(_unit(shown[0]))
    return figure


def curves(rows: Rows, title: str, x: str, xlabel: str, log: bool = False) -> Figure:
    """A line with intervals per system, a panel per task; the baseline is a dashed line.

    Args:
        rows: as for `forest`, with a column `x` of numbers.
        title: of the whole.
        x: the column along the horizontal axis.
        xlabel: what that is.
        log: its scale.
    """
    tasks = list(dict.fromkeys(row["task"] for row in rows))
    figure, axes = _figure(len(tasks), 4.8, 3.6, title)
    for axis, task in zip(axes, tasks, strict=True):
        shown = [row for row in rows if row["task"] == task]
        for system in dict.fromkeys(row["system"] for row in shown):
            line = sorted((r for r in shown if r["system"] == system), key=lambda r: float(r[x]))
            places, values = [r[x] for r in line], [r["value"] for r in line]
            below = [r["value"] - r["low"] for r in line]
            above = [r["high"] - r["value"] for r in line]
            bars = [[max(b, 0.0) for b in below], [max(a, 0.0) for a in above]]
            axis.errorbar(places, values, bars, marker="o", capsize=3, label=system)
        axis.axhline(shown[-1]["baseline"], linestyle="--", color="#888888")
        axis.set_title(task)
        axis.set_xlabel(xlabel)
        axis.set_ylabel(_unit(shown[0]))
        if log:
            axis.set_xscale("log")
    axes[0].legend(fontsize="small")
    return figure


def _figure(panels: int, width: float, height: float, title: str) -> tuple[Figure, list[Any]]:
    figure = Figure(figsize=(width * panels, height), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize="medium")
    return figure, list(figure.subplots(1, panels, squeeze=False)[0])


def _unit(row: dict[str, Any]) -> str:
    return f"{row['metric']} ({row['unit']})" if row["unit"] else str(row["metric"])
