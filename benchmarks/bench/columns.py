"""The figures of a report: the names that `--check` takes, the titles that people read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmarks.bench.pipeline import STAGES
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
