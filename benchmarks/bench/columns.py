"""The figures of a report: the titles that people read, the names that `--check` takes.

`--check 'latency_p90<4,age_shift<0.5'` sets bounds that a run must keep.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.bench.pipeline import STAGES
from fmtool.errors import UsageError
from fmtool.task import Task


@dataclass(frozen=True)
class Column:
    """One figure.

    Attributes:
        name: in `--check` and in the report's "metrics".
        title: heading of its column.
        unit: empty for a plain number; "%" shows a share.
        table: which of the tables it stands in.
    """

    name: str
    title: str
    unit: str
    table: str

    def show(self, value: float | None) -> str:
        """A value for people; "-" where there is none."""
        if value is None:
            return "-"
        return f"{100 * value:.1f}" if self.unit == "%" else f"{value:.3g}"

    @property
    def heading(self) -> str:
        """Title and unit."""
        return f"{self.title} [{self.unit}]" if self.unit else self.title


_LATENCY = "Latency of one volume (SingleStream) and throughput (Offline)"
_START = "Start, memory, energy"
_ACCURACY = "Against float32, on the same volumes, at worst"
_ROOF = "Share of the hardware's limit"
_BOUND = "What limits it"
_STAGES = "A scan's whole way, median"

_FIXED = (
    Column("latency_median", "median", "s", _LATENCY),
    Column("latency_p90", "p90", "s", _LATENCY),
    Column("latency_p99", "p99", "s", _LATENCY),
    Column("latency_min", "min", "s", _LATENCY),
    Column("speedup", "speedup", "", _LATENCY),
    Column("processor_time", "processor", "s", _START),
)
_AFTER = (
    Column("cold_start", "cold start", "s", _START),
    Column("compile", "of it compile", "s", _START),
    Column("peak_memory", "peak memory", "GiB", _START),
    Column("engine_memory", "of it engine", "GiB", _START),
    Column("energy", "energy", "J", _START),
    Column("gflops", "reached", "GFLOP/s", _ROOF),
    Column("peak_gflops", "peak", "GFLOP/s", _ROOF),
    Column("share_of_peak", "of peak", "%", _ROOF),
    Column("share_of_peak_at_best", "at best", "%", _ROOF),
    Column("share_of_peak_by_processor", "by CPU time", "%", _ROOF),
    Column("share_of_roofline", "of roof", "%", _ROOF),
    Column("intensity", "intensity", "FLOP/B", _BOUND),
    Column("embedding_error", "embedding", "relative", _ACCURACY),
)


def columns(tasks: Iterable[Task], batches: Sequence[int], with_scan: bool) -> list[Column]:
    """Every figure of a run.

    Args:
        tasks: the bundle's.
        batches: those whose throughput is measured.
        with_scan: the whole pipeline is measured too.
    """
    throughput = [Column(f"throughput_{b}", f"batch {b}", "1/s", _LATENCY) for b in batches]
    shifts = [shift for task in tasks for shift in _shifts(task)]
    stages = [Column(f"pipeline_{s}", s, "s", _STAGES) for s in STAGES] if with_scan else []
    return [*_FIXED, *throughput, *_AFTER, *shifts, *stages]


def _shifts(task: Task) -> list[Column]:
    name = f"{task.name}_shift"
    if task.kind == "regression":
        return [Column(name, task.name, task.unit, _ACCURACY)]
    return [
        Column(name, task.name, "logit", _ACCURACY),
        Column(f"{task.name}_probability_shift", task.name, "probability", _ACCURACY),
    ]


_WRITTEN = re.compile(r"\s*([^\s<>=]+)\s*([<>])\s*([^\s<>=]+)\s*")


@dataclass(frozen=True)
class Bound:
    """One figure's limit; the limit itself is not within it."""

    metric: str
    less: bool
    limit: float

    def kept(self, value: float) -> bool:
        """Whether a value is within; NaN never is."""
        return value < self.limit if self.less else value > self.limit

    def __str__(self) -> str:
        return f"{self.metric}{'<' if self.less else '>'}{self.limit:g}"


def parse(text: str, metrics: Collection[str]) -> list[Bound]:
    """Comma-separated `METRIC<NUMBER` or `METRIC>NUMBER`.

    Raises:
        UsageError: for anything else, listing the metrics.
    """
    bounds = []
    for part in text.split(","):
        match = _WRITTEN.fullmatch(part)
        if match is None:
            raise UsageError(
                f"--check does not understand {part.strip()!r}; write METRIC<NUMBER or "
                "METRIC>NUMBER, separated by commas"
            )
        metric, sign, number = match.groups()
        if metric not in metrics:
            raise UsageError(
                f"--check knows no {metric!r} in this run; it knows {', '.join(metrics)}"
            )
        try:
            limit = float(number)
        except ValueError:
            limit = math.nan
        if not math.isfinite(limit):
            raise UsageError(f"--check needs a number behind {metric}{sign}, not {number!r}")
        bounds.append(Bound(metric, sign == "<", limit))
    return bounds


def missed(bounds: Sequence[Bound], systems: Sequence[dict[str, Any]]) -> list[str]:
    """A sentence per bound and engine that does not keep it; torch is not judged.

    Args:
        bounds: by `parse`.
        systems: of the report.
    """
    sentences = []
    for system in systems:
        for bound in bounds if not system["peer"] else ():
            value = system["metrics"][bound.metric]
            if value is None:
                why = system["reasons"].get(bound.metric, "it was not measured")
                sentences.append(f"{system['name']}: {bound} cannot be told: {why}")
            elif not bound.kept(value):
                sentences.append(f"{system['name']}: {bound} is missed: it is {value:.4g}")
    return sentences
