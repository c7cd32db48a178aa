"""Record: what one candidate gave, and its figures.

Percentiles and ratios of latencies, with no sample left out.
"""

from __future__ import annotations

import math
import statistics as builtin
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from benchmarks.bench.candidates import Candidate
from benchmarks.bench.pipeline import STAGES

SEED = 0
RESAMPLES = 2000

Rounds = Sequence[Sequence[float]]
"""Seconds of each inference, round by round."""


def percentile(values: Sequence[float], percent: int) -> float:
    """The smallest value that at least `percent` of a hundred values do not exceed.

    The nearest rank, always one of the values: an interpolated 99th percentile of ten latencies
    would be a number that was never measured.
    """
    rank = max(1, -(-percent * len(values) // 100))
    return sorted(values)[rank - 1]


@dataclass(frozen=True)
class Summary:
    """Latency of single inferences in seconds; p90 is MLPerf Inference's SingleStream figure."""

    median: float
    p90: float
    p99: float
    min: float
    max: float
    n: int


def summary(rounds: Rounds) -> Summary:
    """Of all inferences of all rounds."""
    every = [seconds for block in rounds for seconds in block]
    return Summary(
        median=float(np.median(every)),
        p90=percentile(every, 90),
        p99=percentile(every, 99),
        min=min(every),
        max=max(every),
        n=len(every),
    )


def ratio(slow: Rounds, fast: Rounds) -> tuple[float, float, float]:
    """The ratio of two medians and its 95 % bootstrap interval, from rounds run side by side.

    Whole rounds are drawn, the same ones for both: what burdened the machine during a round
    burdened both.

    Returns:
        (median of `slow` / median of `fast`, low, high).

    Raises:
        ValueError: if the two have not the same number of rounds.
    """
    if len(slow) != len(fast):
        raise ValueError(f"rounds are compared side by side: {len(slow)} and {len(fast)}")
    rng = np.random.default_rng(SEED)
    drawn = rng.integers(0, len(slow), size=(RESAMPLES, len(slow)))
    ratios = [_median(slow, picked) / _median(fast, picked) for picked in drawn]
    low, high = np.percentile(ratios, [2.5, 97.5])
    everything = np.arange(len(slow))
    return _median(slow, everything) / _median(fast, everything), float(low), float(high)


def _median(rounds: Rounds, picked: np.ndarray) -> float:
    return float(np.median(np.concatenate([rounds[i] for i in picked])))


_GIB = float(2**30)


@dataclass
class Record:
    """One candidate, as its worker answered.

    Attributes:
        candidate: who.
        opened: facts and cold start.
        blocks: at batch 1, round by round.
        offline: blocks by batch, above 1.
        reasons: why a metric, by name, has no value.
        memory: bytes at the peak of batch 1, and those "added" by the system.
        peak: "flop_per_second", "probe" and "flop_per_processor_second".
        bandwidth: bytes per second.
        self_test: why the bundle's self-test refuses it; "" where there is none.
        stages: seconds by stage, per repetition.
        roofline: by `benchmarks.bench.roofline.place`.
        accuracy: by `benchmarks.bench.exactness.compare`.
        speedup: over the report's baseline.
    """

    candidate: Candidate
    opened: dict[str, Any]
    blocks: list[dict[str, Any]] = field(default_factory=list)
    offline: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    memory: dict[str, int] | None = None
    peak: dict[str, Any] | None = None
    bandwidth: float | None = None
    self_test: str | None = None
    stages: list[dict[str, float]] = field(default_factory=list)
    roofline: dict[str, Any] | None = None
    accuracy: dict[str, float] = field(default_factory=dict)
    speedup: float | None = None

    @property
    def name(self) -> str:
        """The candidate's."""
        return self.candidate.name

    @property
    def precision(self) -> str:
        """What it computes in."""
        return str(self.opened["facts"]["precision"])

    @property
    def rounds(self) -> list[list[float]]:
        """Seconds of each inference at batch 1."""
        return [block["latencies"] for block in self.blocks]

    @property
    def processor(self) -> list[list[float]] | None:
        """Processor seconds of an inference, round by round; None where a GPU computes."""
        on_cpu = self.opened["facts"]["device"] == "cpu"
        return [[block["processor"]] for block in self.blocks] if on_cpu else None

    def summary(self) -> Summary:
        """Of the latencies at batch 1."""
        return summary(self.rounds)

    def metrics(self, batches: list[int]) -> dict[str, float | None]:
        """Every figure that was measured, by its column's name."""
        found = self.summary()
        values: dict[str, float | None] = {
            "latency_median": found.median,
            "latency_p90": found.p90,
            "latency_p99": found.p99,
            "latency_min": found.min,
            "speedup": self.speedup,
            "processor_time": summary(self.processor).median if self.processor else None,
            "cold_start": sum(self.opened["cold"].values()),
            "compile": self.opened["cold"].get("compile"),
            "peak_memory": None if self.memory is None else self.memory["peak"] / _GIB,
            "engine_memory": None if self.memory is None else self.memory["added"] / _GIB,
            "energy": self._energy(),
        }
        blocks = {1: self.blocks, **self.offline}
        values |= {f"throughput_{batch}": _throughput(batch, blocks) for batch in batches}
        values |= self.accuracy
        if self.roofline and self.peak:
            share = self.roofline["share_of_peak"]
            values |= {
                "gflops": self.roofline["flop_per_second"] / 1e9,
                "peak_gflops": self.peak["flop_per_second"] / 1e9,
                "share_of_peak": share,
                "share_of_peak_at_best": share * found.median / found.min,
                "share_of_peak_by_processor": self._by_processor(),
                "share_of_roofline": self.roofline["share_of_roofline"],
                "intensity": self.roofline["intensity"],
            }
        for stage in STAGES:
            took = [timings[stage] for timings in self.stages if stage in timings]
            values[f"pipeline_{stage}"] = builtin.median(took) if took else None
        return values

    def _by_processor(self) -> float | None:
        """The share of the peak in processor seconds on both sides, whoever else is running."""
        if self.processor is None or self.roofline is None or self.peak is None:
            return None
        reached = self.roofline["flop"] / summary(self.processor).median
        return float(reached / self.peak["flop_per_processor_second"])

    def _energy(self) -> float | None:
        """Joules per volume."""
        drawn = [block["joules"] for block in self.blocks]
        if any(joules is None for joules in drawn):
            return None
        return float(sum(drawn)) / self.summary().n

    def to_dict(self, names: list[str], batches: list[int]) -> dict[str, Any]:
        """Plain data for the report, with the metrics `names`."""
        measured = self.metrics(batches)
        reasons = dict(self.reasons)
        metrics = {}
        for name in names:
            value = measured.get(name)
            if value is not None and not math.isfinite(value):
                value, reasons[name] = None, "an output is not a finite number"
            metrics[name] = value
        splits = [part for block in self.blocks for part in block["split"]]
        others = [b["others_busy"] for b in self.blocks if b["others_busy"] is not None]
        return {
            "name": self.name,
            "peer": self.candidate.is_peer,
            "facts": self.opened["facts"],
            "metrics": metrics,
            "reasons": {name: why for name, why in reasons.items() if metrics.get(name) is None},
            "cold_start": self.opened["cold"],
            "latency": {**asdict(self.summary()), "rounds": self.rounds},
            "processor": [block["processor"] for block in self.blocks],
            "offline": {
                str(batch): [block["latencies"] for block in blocks]
                for batch, blocks in self.offline.items()
            },
            "split": _medians(splits) if splits else None,
            "roofline": self.roofline,
            "peak": self.peak,
            "bandwidth": self.bandwidth,
            "self_test": {"passed": self.self_test is None, "said": self.self_test}
            if self.self_test != ""
            else None,
            "stages": self.stages,
            "cores_busy": builtin.median(block["cores_busy"] for block in self.blocks),
            "others_busy": builtin.median(others) if others else None,
        }


def _throughput(batch: int, blocks: dict[int, list[dict[str, Any]]]) -> float | None:
    every = [seconds for block in blocks.get(batch, []) for seconds in block["latencies"]]
    return batch * len(every) / sum(every) if every else None


def _medians(parts: list[dict[str, float]]) -> dict[str, float]:
    return {name: builtin.median(part[name] for part in parts) for name in parts[0]}
