"""The measuring itself: all candidates side by side, round by round, in changing order."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from benchmarks.bench.process import Worker, WorkerFailed
from benchmarks.bench.record import Record
from benchmarks.bench.timing import STAGE_ROUNDS, Request
from fmtool.errors import FmtoolError

Pairs = Sequence[tuple[Worker, Record]]
Say = Callable[[str], None]

PEAK = (
    "gflops",
    "peak_gflops",
    "share_of_peak",
    "share_of_peak_at_best",
    "share_of_peak_by_processor",
    "share_of_roofline",
)


def measure(pairs: Pairs, request: Request, say: Say) -> None:
    """Fill the records; what a candidate cannot do is noted with its reason."""
    order = random.Random(0)
    plan = request.rounds()
    with_peak = {0, len(plan) // 2, len(plan) - 1}
    for number, (seconds, count) in enumerate(plan):
        say(f"Latency, round {number + 1} of {len(plan)}")
        for worker, record in _shuffled(pairs, order):
            record.blocks.append(worker.ask("block", batch=1, seconds=seconds, count=count))
        if number == 0:  # before anything but single inferences took memory
            for worker, record in pairs:
                record.memory = worker.ask("memory")
                if record.memory is None:
                    for metric in ("peak_memory", "engine_memory"):
                        record.reasons[metric] = "this system does not tell it"
        if number in with_peak:
            _peaks(pairs, request.probe_seconds(), order)
    for worker, record in pairs:
        record.self_test = worker.ask("self_test")
    for number in range(STAGE_ROUNDS if request.scans else 0):
        say(f"Whole pipeline, round {number + 1} of {STAGE_ROUNDS}")
        for worker, record in _shuffled(pairs, order):
            scan = request.scans[number % len(request.scans)]
            record.stages.append(worker.ask("stages", scan=str(scan)))


def offline(pairs: Pairs, request: Request, say: Say) -> None:
    """The throughput of larger batches, last: they may take more memory than there is."""
    order = random.Random(0)
    for batch in request.batches:
        if batch > 1:
            _offline(pairs, batch, request.offline(), order, say)


def _offline(
    pairs: Pairs, batch: int, plan: list[tuple[float, int]], order: random.Random, say: Say
) -> None:
    for number, (seconds, count) in enumerate(plan):
        say(f"Batch {batch}, round {number + 1} of {len(plan)}")
        for worker, record in _shuffled(pairs, order):
            name = f"throughput_{batch}"
            if name in record.reasons:
                continue
            block = _try(
                worker, record, (name,), "block", batch=batch, seconds=seconds, count=count
            )
            if block is not None:
                record.offline.setdefault(batch, []).append(block)


def _peaks(pairs: Pairs, seconds: float, order: random.Random) -> None:
    """The best of three times, so that a moment's load is not taken for the device's limit."""
    for worker, record in _shuffled(pairs, order):
        if any(name in record.reasons for name in PEAK):
            continue
        record.peak = _try(worker, record, PEAK, "peak", seconds=seconds)
        copied = _try(worker, record, PEAK[-1:], "bandwidth")
        if copied is not None:
            record.bandwidth = max(copied, record.bandwidth or 0.0)


def _try(worker: Worker, record: Record, names: tuple[str, ...], do: str, **details: Any) -> Any:
    """The answer; None with the reason noted if this machine cannot."""
    try:
        return worker.ask(do, **details)
    except WorkerFailed:
        raise
    except FmtoolError as error:
        record.reasons |= dict.fromkeys(names, str(error))
        return None


def _shuffled(pairs: Pairs, order: random.Random) -> Iterator[tuple[Worker, Record]]:
    yield from order.sample(list(pairs), len(pairs))
