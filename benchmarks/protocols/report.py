"""A protocol's results on disk: JSON, CSV and a plot; and as a table for people.

Plots are of two kinds, values side by side and curves, and need no display.
"""

from __future__ import annotations

import csv
import importlib.metadata
import io
import json
import math
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from fmtool import __version__
from fmtool.errors import InputError
from runtime.system import atomic

Rows = Sequence[dict[str, Any]]


def forest(rows: Rows, title: str, label: str = "system", panel: str = "task") -> Figure:
    """A dot with its interval per row, a panel per task; the baseline is a dashed line.

    Args:
        rows: with "value", "low", "high", "baseline", "metric", "unit" and the two below.
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


JSON, CSV, PLOT = "results.json", "results.csv", "plot.png"

_LIBRARIES = ("torch", "monai", "lightning", "scikit-learn", "numpy")


@dataclass
class ProtocolReport:
    """What a protocol found.

    Attributes:
        protocol: its name.
        question: one sentence.
        facts: seed, size, sample, whether synthetic, and what else it takes to read the rows.
        rows: the figures; a column is left empty where a row lacks it.
        remarks: sentences that whoever reads the figures should know.
    """

    protocol: str
    question: str
    facts: dict[str, Any]
    rows: list[dict[str, Any]]
    remarks: list[str]

    @property
    def title(self) -> str:
        """Of the table and the plot; says so where no person was scanned."""
        made = " (SYNTHETIC scans)" if self.facts.get("synthetic") else ""
        return f"{self.protocol}: {self.question}{made}"

    def write(self, out: Path, figure: Figure) -> None:
        """Write the three files, each complete or absent, the JSON last.

        Raises:
            InputError: if they cannot be written.
        """
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"cannot make the folder {out} ({error.strerror})") from None
        picture = io.BytesIO()
        figure.savefig(picture, format="png", dpi=120, bbox_inches="tight")
        atomic.write_bytes(out / PLOT, picture.getvalue())
        atomic.write_bytes(out / CSV, self._csv().encode())
        content = {
            "protocol": self.protocol,
            "question": self.question,
            "versions": versions(),
            **self.facts,
            "remarks": self.remarks,
            "rows": self.rows,
        }
        text = json.dumps(_plain(content), indent=1, allow_nan=False) + "\n"
        atomic.write_bytes(out / JSON, text.encode())

    def _csv(self) -> str:
        text = io.StringIO()
        writer = csv.DictWriter(text, columns(self.rows), restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        return text.getvalue()

    def print(self, show: Sequence[str], console: Console | None = None) -> None:
        """The columns `show` as a table, then the remarks, on stdout.

        `value`, `difference` and `versus` are shown with their intervals.
        """
        console = console or Console(width=None if Console().is_terminal else 160)
        table = Table(title=self.title)
        for column in show:
            table.add_column(column, justify="left" if column in ("system", "task") else "right")
        for row in self.rows:
            table.add_row(*(_cell(row, column) for column in show))
        console.print(table)
        for remark in self.remarks:
            console.print(remark)


def versions() -> dict[str, str]:
    """Of everything that could change a figure."""
    found = {name: importlib.metadata.version(name) for name in _LIBRARIES}
    return {"fmtool": __version__, "python": platform.python_version(), **found}


def columns(rows: Sequence[dict[str, Any]]) -> list[str]:
    """All rows' keys, in order of first appearance."""
    return list(dict.fromkeys(key for row in rows for key in row))


def _cell(row: dict[str, Any], column: str) -> str:
    value = row.get(column)
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, float):
        return str(value)
    low, high = ("low", "high") if column == "value" else (f"{column}_low", f"{column}_high")
    sign = "+" if column in ("difference", "versus") else ""
    if low in row and high in row:
        return f"{value:{sign}.3f} [{row[low]:{sign}.3f}, {row[high]:{sign}.3f}]"
    return f"{value:{sign}.4g}"


def _plain(value: Any) -> Any:
    """JSON has no NaN and no infinity: null."""
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
