"""Percentiles and ratios of latencies, with no sample left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

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

    def to_dict(self) -> dict[str, float]:
        """Plain data."""
        return asdict(self)


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
