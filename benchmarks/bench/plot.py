"""A report as a picture: latencies side by side, and the systems under their roofs."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


def png(report: dict[str, Any]) -> bytes:
    """The picture as PNG."""
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


def _latency(axis: Axes, systems: list[dict[str, Any]]) -> None:
    for y, system in enumerate(systems[::-1]):
        every = [seconds for block in system["latency"]["rounds"] for seconds in block]
        colour = "#999999" if system["peer"] else "#35618f"
        axis.barh(y, system["latency"]["median"], color=colour, alpha=0.6)
        axis.plot(every, [y] * len(every), "|", color="black", alpha=0.5)
        axis.plot(system["latency"]["p90"], y, "D", color=colour)
    axis.set_yticks(range(len(systems)), [system["name"] for system in systems[::-1]])
    axis.set_xlabel("seconds per volume: median (bar), p90 (diamond), each inference (stroke)")
    axis.set_xlim(left=0)


def _roof(axis: Axes, systems: list[dict[str, Any]]) -> None:
    shown = [system for system in systems if system["roofline"]]
    for i, system in enumerate(shown):
        roof, peak = system["roofline"], system["peak"]["flop_per_second"]
        x = np.geomspace(0.1, 10 * max(s["roofline"]["intensity"] for s in shown), 200)
        colour = f"C{i}"
        axis.plot(x, np.minimum(peak, x * system["bandwidth"]) / 1e9, color=colour, alpha=0.6)
        axis.plot(
            roof["intensity"],
            roof["flop_per_second"] / 1e9,
            "o",
            color=colour,
            label=system["name"],
        )
    axis.set(xscale="log", yscale="log", xlabel="FLOP per byte", ylabel="GFLOP/s")
    if shown:
        axis.legend(fontsize="small")
    else:
        axis.set_title("no share of the hardware's limit was measured", fontsize="small")
