"""A block of inferences: warmed up, each one timed, none left out.

The terms follow trtexec (a warm-up of 200 ms; a duration and a least count, whichever is longer)
and MLPerf Inference (SingleStream: one query after the other, of which the 90th percentile counts;
Offline: all volumes at once in batches, of which volumes per second count).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.bench.energy import Meter
from benchmarks.bench.machine import Clocks

WARM_UP = 0.2
"""Seconds of untimed inferences before a block, as trtexec has it."""


@dataclass
class TimedBlock:
    """What one block gave.

    Attributes:
        latencies: seconds of each inference.
        processor: processor seconds of an inference, over all cores, the mean of the block: the
            system counts those of running threads in steps of milliseconds. What other processes
            take is not in it.
        split: seconds of each inference by part, where the engine tells them.
        joules: drawn meanwhile, where there is a counter.
        cores_busy: processor seconds of this process per second.
        others_busy: those of all other processes, as a share of the machine; None if not told.
    """

    latencies: list[float]
    processor: float
    split: list[dict[str, float]]
    joules: float | None
    cores_busy: float
    others_busy: float | None


def block(
    infer: Callable[[int], Any],
    seconds: float,
    count: int,
    expected: float,
    energy: Meter,
    split: Callable[[], dict[str, float] | None],
) -> TimedBlock:
    """Run inferences for at least `seconds` and at least `count` times.

    Args:
        infer: runs inference number i and returns when its outputs are there.
        seconds: the least duration of all timed inferences together.
        count: their least number.
        expected: seconds that one takes. Warm-up takes as many as fit into `WARM_UP`: none if one
            alone is longer, because a cold cache is no part of an inference of such a length.
        energy: the device's counter.
        split: of the last inference, by part, or None.
    """
    for i in range(int(WARM_UP / max(expected, 1e-6))):
        infer(i)
    latencies: list[float] = []
    parts = []
    joules = energy.read() if energy.read else 0.0
    before = Clocks.now()
    while len(latencies) < count or sum(latencies) < seconds:
        start = time.perf_counter()
        infer(len(latencies))
        latencies.append(time.perf_counter() - start)
        found = split()
        if found is not None:
            parts.append(found)
    after = Clocks.now()
    wall = after.wall - before.wall
    own = after.own - before.own
    others = None
    if before.machine is not None and after.machine is not None:
        share = (after.machine - before.machine - own) / (wall * (os.cpu_count() or 1))
        others = min(max(share, 0.0), 1.0)
    drawn = energy.read() - joules if energy.read else None
    return TimedBlock(latencies, own / len(latencies), parts, drawn, own / wall, others)
