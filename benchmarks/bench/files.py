"""Where a report goes: asked before the run whether it can be written, then written in one step."""

from __future__ import annotations

import io
import json as json_format
import os
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.bench.table import markdown
from fmtool.errors import CapabilityError, InputError
from runtime.system import atomic


@dataclass(frozen=True)
class Files:
    """The files asked for.

    Attributes:
        json: the whole report.
        markdown: its tables.
        plot: a PNG.
    """

    json: Path | None = None
    markdown: Path | None = None
    plot: Path | None = None

    def claim(self) -> None:
        """Find out what would fail after minutes of measuring.

        Raises:
            CapabilityError: if a plot is wanted and matplotlib is not installed.
            InputError: if a file's folder is missing or not writable.
        """
        if self.plot is not None and find_spec("matplotlib") is None:
            raise CapabilityError(
                "--plot needs matplotlib; install it with `pip install 'fmtool[bench]'`"
            )
        for path in filter(None, (self.json, self.markdown, self.plot)):
            folder = path.absolute().parent
            if path.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
                raise InputError(
                    f"cannot write {path}; name a file in a folder that exists and that you may "
                    "write to"
                )

    def write(self, report: dict[str, Any]) -> None:
        """Write what was asked for."""
        if self.json is not None:
            text = json_format.dumps(report, indent=1, allow_nan=False) + "\n"
            atomic.write_bytes(self.json, text.encode())
        if self.markdown is not None:
            atomic.write_bytes(self.markdown, markdown(report).encode())
        if self.plot is not None:
            atomic.write_bytes(self.plot, png(report))


def png(report: dict[str, Any]) -> bytes:
    """The report as a picture, PNG: latencies side by side, and the systems under their roofs."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    systems = report["systems"]
    figure = Figure(figsize=(12, 1.8 + 0.45 * max(len(systems), 6)), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    facts = report["machine"]
    figure.suptitle(
        f"{facts['bundle']['name']} on {facts['processor']}, {facts['cores']} cores",
        fontsize="medium",
    )
    _latency(left, systems)
    _roof(right, systems)
    stream = io.BytesIO()
    canvas.print_png(stream)
    return stream.getvalue()


def _latency(axis: Any, systems: list[dict[str, Any]]) -> None:
    for y, system in enumerate(systems[::-1]):
        every = [seconds for block in system["latency"]["rounds"] for seconds in block]
        colour = "#999999" if system["peer"] else "#35618f"
        axis.barh(y, system["latency"]["median"], color=colour, alpha=0.6)
        axis.plot(every, [y] * len(every), "|", color="black", alpha=0.5)
        axis.plot(system["latency"]["p90"], y, "D", color=colour)
    axis.set_yticks(range(len(systems)), [system["name"] for system in systems[::-1]])
    axis.set_xlabel("seconds per volume: median (bar), p90 (diamond), each inference (stroke)")
    axis.set_xlim(left=0)


def _roof(axis: Any, systems: list[dict[str, Any]]) -> None:
    shown = [system for system in systems if system["roofline"]]
    for i, system in enumerate(shown):
        roof, peak = system["roofline"], system["peak"]["flop_per_second"]
        x = np.geomspace(0.1, 10 * max(s["roofline"]["intensity"] for s in shown), 200)
        colour = f"C{i}"
        axis.plot(x, np.minimum(peak, x * system["bandwidth"]) / 1e9, color=colour, alpha=0.6)
        place = roof["intensity"], roof["flop_per_second"] / 1e9
        axis.plot(*place, "o", color=colour, label=system["name"])
    axis.set(xscale="log", yscale="log", xlabel="FLOP per byte", ylabel="GFLOP/s")
    if shown:
        axis.legend(fontsize="small")
    else:
        axis.set_title("no share of the hardware's limit was measured", fontsize="small")
