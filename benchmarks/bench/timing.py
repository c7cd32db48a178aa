"""A block of inferences: warmed up, each one timed, none left out; how many are asked for.

The terms follow trtexec (a warm-up of 200 ms; a duration and a least count, whichever is longer)
and MLPerf Inference (SingleStream: one query after the other, of which the 90th percentile counts;
Offline: all volumes at once in batches, of which volumes per second count).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.bench.machine import Clocks, Meter
from fmtool.errors import UsageError

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


ROUNDS = 10
"""trtexec's least number of inferences: one a round, if they are that slow."""

OFFLINE_ROUNDS = 3
STAGE_ROUNDS = 3
PROBE_SECONDS = 0.5


@dataclass(frozen=True)
class Request:
    """How much is measured.

    Attributes:
        scans: heads to measure on, and through the whole pipeline.
        batches: whose throughput is measured, ascending.
        seconds: of timed inferences per candidate, at least, and at least `ROUNDS` inferences.
        repeats: instead: exactly so many inferences.
    """

    scans: tuple[Path, ...] = ()
    batches: tuple[int, ...] = (1, 2, 4)
    seconds: float = 3.0
    repeats: int | None = None

    def rounds(self) -> list[tuple[float, int]]:
        """(seconds, least count) of each round's block of single inferences."""
        if self.repeats is None:
            return [(self.seconds / ROUNDS, 1)] * ROUNDS
        count = min(self.repeats, ROUNDS)
        each, more = divmod(self.repeats, count)
        return [(0.0, each + (i < more)) for i in range(count)]

    def offline(self) -> list[tuple[float, int]]:
        """The same of the blocks of each larger batch."""
        if self.repeats is None:
            return [(self.seconds / OFFLINE_ROUNDS, 1)] * OFFLINE_ROUNDS
        return [(0.0, 1)] * min(self.repeats, OFFLINE_ROUNDS)

    def probe_seconds(self) -> float:
        """How long one pass of a probe of the device's peak should take."""
        return PROBE_SECONDS if self.repeats else min(PROBE_SECONDS, self.seconds / ROUNDS)

    def method(self) -> dict[str, object]:
        """What the report says of it."""
        return {
            "seconds": None if self.repeats else self.seconds,
            "repeats": self.repeats,
            "rounds": len(self.rounds()),
            "offline_rounds": len(self.offline()),
            "warm_up_seconds": WARM_UP,
            "percentile": "nearest rank",
        }


def batches(text: str) -> tuple[int, ...]:
    """Such as "1,2,4".

    Raises:
        UsageError: if they are not whole numbers above zero.
    """
    try:
        found = sorted({int(part) for part in text.split(",")})
    except ValueError:
        found = [0]
    if found[0] < 1:
        raise UsageError(f"--batch takes whole numbers above zero, such as 1,2,4; not {text!r}")
    return tuple(found)


def request(
    scans: Sequence[Path], batch: str, seconds: float | None, repeats: int | None
) -> Request:
    """The request of a command line.

    Raises:
        UsageError: if both `seconds` and `repeats` are given, or one is not above zero.
    """
    if seconds is not None and repeats is not None:
        raise UsageError("--seconds and --repeats exclude each other; name one")
    if (seconds is not None and not 0 < seconds < 86400) or (repeats is not None and repeats < 1):
        raise UsageError("--seconds and --repeats must be above zero")
    size = batches(batch)
    if repeats is not None:
        return Request(tuple(scans), size, repeats=repeats)
    return Request(tuple(scans), size, seconds if seconds is not None else 3.0)
