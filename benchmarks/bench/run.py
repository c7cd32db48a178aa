"""A whole run: processes opened one after the other, measured side by side, one report."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.bench import exactness, inputs, machine, roofline, rounds
from benchmarks.bench.candidates import Candidate
from benchmarks.bench.columns import columns
from benchmarks.bench.process import Worker
from benchmarks.bench.record import Record, ratio
from benchmarks.bench.timing import Request
from fmtool.bundle import Bundle
from fmtool.errors import CapabilityError, FmtoolError

SCHEMA = "fmtool.bench/1"
"""Of the report; the number changes with the meaning of any field."""


def run(
    bundle: Bundle,
    candidates: Sequence[Candidate],
    absent: dict[str, str],
    request: Request,
    named: Sequence[str] = (),
    say: Callable[[str], None] = lambda sentence: None,
) -> dict[str, Any]:
    """Measure the candidates.

    Args:
        bundle: whose network.
        candidates: by `benchmarks.bench.candidates`.
        absent: those known not to run here, and why.
        request: how much to measure.
        named: engines and precisions that were asked for by name: each must run in some way.
        say: told each step as it begins.

    Returns:
        The report as plain data; docs/bench.md has its fields.

    Raises:
        CapabilityError: if something that was named, or everything, cannot run here.
        InputError: if a scan cannot be used.
    """
    facts = machine.header(bundle)  # now, while the machine's load is not our own
    absent = dict(absent)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fmtool-bench-")))
        say("Preparing the volumes")
        volumes = folder / "volumes.npz"
        inputs.save(volumes, inputs.gather(bundle, request.scans))
        pairs = []
        for candidate in candidates:
            say(f"Cold start of {candidate.name}")
            worker = _open(candidate, volumes, absent)
            if worker is not None:
                stack.callback(worker.close)
                pairs.append((worker, Record(candidate, worker.opened)))
        records = [record for _, record in pairs]
        _complain(records, absent, named)
        rounds.measure(pairs, request, say)
        say("Comparing with float32")
        reference = exactness.fill(pairs, bundle, volumes, folder)
        rounds.offline(pairs, request, say)
    roofline.fill(records, bundle)
    baseline = _baseline(records)
    ratios = _ratios(records)
    for record in records:
        if record.processor is None:
            on_gpu = dict.fromkeys(
                ("processor_time", "share_of_peak_by_processor"), "a GPU computes"
            )
            record.reasons |= on_gpu
        if record.opened["no_energy"]:
            record.reasons["energy"] = record.opened["no_energy"]
        if baseline is None:
            record.reasons["speedup"] = "neither a peer nor a float32 engine was measured"
        else:
            record.speedup = baseline.summary().median / record.summary().median
    named_columns = columns(bundle.tasks.values(), request.batches, bool(request.scans))
    names = [column.name for column in named_columns]
    return {
        "schema": SCHEMA,
        "machine": facts,
        "method": request.method(),
        "volumes": [str(scan) for scan in request.scans] or ["the bundle's template"],
        "warnings": machine.warnings(facts),
        "not_run": absent,
        "reference": reference,
        "baseline": baseline.name if baseline else None,
        "columns": [vars(column) for column in named_columns],
        "systems": [record.to_dict(names, list(request.batches)) for record in records],
        "ratios": ratios,
    }


def _open(candidate: Candidate, volumes: Path, absent: dict[str, str]) -> Worker | None:
    try:
        return Worker(candidate, str(volumes))
    except FmtoolError as error:
        if candidate.wanted:
            raise CapabilityError(f"{candidate.name} cannot run: {error}") from None
        absent[candidate.name] = str(error)
        return None


def _complain(records: Sequence[Record], absent: dict[str, str], named: Sequence[str]) -> None:
    """A wish that nothing meets is an error."""
    ours = [record for record in records if not record.candidate.is_peer]
    running = {word for record in ours for word in record.name.split()}
    for name in named:
        if name not in running:
            why = next(
                (why for key, why in absent.items() if name in key.split()), "it is not here"
            )
            raise CapabilityError(f"{name} cannot run: {why}")
    if not ours:
        why = "; ".join(f"{name}: {why}" for name, why in absent.items())
        raise CapabilityError(f"no engine can run here ({why})")


def _baseline(records: Sequence[Record]) -> Record | None:
    """What speed is compared with: the fastest peer, or else the fastest float32 engine."""
    peers = [record for record in records if record.candidate.is_peer]
    plain = [record for record in records if record.precision == "float32"]
    return min(peers or plain, key=lambda record: record.summary().median, default=None)


def _ratios(records: Sequence[Record]) -> list[dict[str, Any]]:
    """How many times as fast as each other one an engine is."""
    found = []
    for ours in records:
        for other in records:
            if ours is other or ours.candidate.is_peer:
                continue
            value, low, high = ratio(other.rounds, ours.rounds)
            row = {"system": ours.name, "against": other.name, "ratio": value}
            row |= {"interval": [low, high], "processor_ratio": None}
            if ours.processor and other.processor:
                row["processor_ratio"] = ratio(other.processor, ours.processor)[0]
            found.append(row)
    return found
