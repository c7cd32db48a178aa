"""A million scans a day, computed from what one costs; docs/scale.md's tables and their place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

from benchmarks.bench import machine
from benchmarks.scale import stages
from benchmarks.shared.script import markdown
from fmtool.errors import InputError
from runtime.system.atomic import write_bytes

DAY = 1_000_000
SECONDS = 86_400
BUSY = 0.85  # of the time a core is kept at work: assumed
CORES = 64  # of a machine: assumed
NET = 10e9 / 8  # bytes a second of one link: assumed, 10 Gbit/s
GPU = (312e12, 0.3)  # an A100's dense FP16 operations a second by its vendor; the share: assumed
TENSOR_BYTES = 2 * 150 * 192 * 192 * 4  # volume and mask as the graph takes them, float32
LOST = 0.01  # scans whose actor dies under them: assumed

_POOL = "Ray's driver process: the pool's bookkeeping with 1,024 actors"
_ROWS = "16 GiB of the command's memory, when the results are written"

Pairs = list[tuple[str, str]]
Triples = list[tuple[str, str, str]]


@dataclass(frozen=True)
class Cost:
    """What one scan costs; seconds and bytes.

    Attributes:
        cpu, wall, start, peak: see `stages.measure`.
        flop: of the network.
    """

    cpu: Mapping[str, float]
    wall: Mapping[str, float]
    start: float
    peak: int
    flop: float


def needs(cost: Cost, on_gpu: bool) -> Pairs:
    """Cores, machines, memory; with `on_gpu` the network is Triton's, and the GPUs are computed."""
    seconds = cost.cpu["total"] - (cost.cpu["network"] if on_gpu else 0.0)
    cores = DAY * seconds / SECONDS / BUSY
    rows: Pairs = [
        ("processor seconds a scan", f"{seconds:.2f}"),
        ("cores", f"{cores:,.0f}"),
        (f"machines of {CORES} cores", f"{ceil(cores / CORES):,}"),
        ("memory of all actors, GiB", f"{cores * cost.peak / 2**30:,.0f}"),
        ("GiB a core", f"{cost.peak / 2**30:.1f}"),
    ]
    if on_gpu:
        rate = DAY / SECONDS
        rows += [
            ("to Triton, Gbit/s", f"{8e-9 * rate * TENSOR_BYTES:.1f}"),
            ("network, TFLOP/s sustained", f"{rate * cost.flop / 1e12:.1f}"),
            ("GPUs (A100, computed)", f"{rate * cost.flop / (GPU[0] * GPU[1]):.2f}"),
        ]
    return rows


def retries(cost: Cost) -> Pairs:
    """What deaths cost, as a share of the processor time."""
    one = cost.cpu["total"]
    half, whole = (LOST * (share + cost.start / one) for share in (0.5, 1.0))
    return [
        (f"{LOST:.0%} of the scans lose their actor half-way", f"{half:.2%}"),
        ("the same, at their very end", f"{whole:.2%}"),
        ("every actor dies once a day", f"{(0.5 * one + cost.start) / SECONDS:.3%}"),
    ]


def flows(scan_bytes: int, record: Mapping[str, float], page_bytes: int) -> Pairs:
    """Bytes and rows a day."""
    rate, written = DAY / SECONDS, record["output bytes"]
    return [
        ("scans a second", f"{rate:.1f}"),
        ("scans read, GB a day", f"{1e-9 * DAY * scan_bytes:,.0f}"),
        ("read by nodes and once more to digest, Gbit/s", f"{2 * 8e-9 * rate * scan_bytes:.2f}"),
        ("results (CSV, JSON lines, Parquet), GB a day", f"{1e-9 * DAY * written:,.1f}"),
        ("pages and their JSON (`--report`), GB a day", f"{1e-9 * DAY * page_bytes:,.0f}"),
        ("ledger, GB a day", f"{1e-9 * DAY * record['ledger bytes']:,.1f}"),
        ("ledger, rows a day (an item and a result each)", f"{2 * DAY:,}"),
        ("ledger, transactions a second (add, claim, finish)", f"{3 * rate:.0f}"),
    ]


def limits(scan_bytes: int, record: Mapping[str, float], step: float) -> Triples:
    """What breaks first: each resource with what one of it bears, in scans a day, least first.

    Args:
        scan_bytes: of a scan's file.
        record: by `record.measure`.
        step: seconds of the pool's bookkeeping a scan.
    """
    held = 3 * record["output bytes"]
    here, computed = "measured", "computed"
    bears = [
        (
            "the command: claim and record, in one ledger",
            SECONDS / record["claim and finish"],
            here,
        ),
        ("the command: digest and enter", SECONDS / record["digest"], "measured, files cached"),
        (_POOL, SECONDS / step, "measured, without Ray's own part"),
        (_ROWS, 16 * 2**30 / held, "computed: rows, lines and table at once"),
        ("one link of 10 Gbit/s to the scans", SECONDS * NET / (2 * scan_bytes), computed),
        ("one link of 10 Gbit/s to Triton", SECONDS * NET / TENSOR_BYTES, computed),
    ]
    ordered = sorted(bears, key=lambda row: row[1])
    return [(name, f"{bears_ / 1e6:,.2f} million", how) for name, bears_, how in ordered]


BEGIN, END = "<!-- python -m benchmarks.scale writes from here -->", "<!-- to here -->"
_STAGES = ("stage, s", "demo, cpu", "demo, wall", "full size, cpu", "full size, wall")
_KINDS = ("demo, CPU", "demo, Triton", "full size, CPU", "full size, Triton")
_BEARS = ("", "bears", "how it is known")


def tables(found: dict[str, Any]) -> str:
    """Everything that the page shows, as Markdown."""
    demo, full, kept = found["demo"], found["full"], found["record"]
    costs = {
        name: Cost(one["cpu"], one["wall"], one["start"], one["peak"], found["flop"][name])
        for name, one in (("demo", demo), ("full", full))
    }
    by_stage = [
        (stage, *(f"{one[clock][stage]:.2f}" for one in (demo, full) for clock in ("cpu", "wall")))
        for stage in (*stages.STAGES, "rest", "total")
    ]
    others = [
        ("start of an actor, s", *(f"{one['start']:.1f}" for one in (demo, full))),
        ("peak memory of an actor, GiB", *(f"{one['peak'] / 2**30:.2f}" for one in (demo, full))),
        ("network, GFLOP", *(f"{flop / 1e9:,.0f}" for flop in found["flop"].values())),
        ("engine", *(one["engine"] for one in (demo, full))),
    ]
    command = [
        ("digest and enter, ms", f"{1e3 * kept['digest']:.1f}"),
        ("claim and record, ms", f"{1e3 * kept['claim and finish']:.1f}"),
        ("the pool's bookkeeping with 1,024 actors, ms", f"{1e3 * found['step']:.2f}"),
        ("write the result files, ms", f"{1e3 * kept['write']:.1f}"),
        ("bytes in: the scan's file, MB", f"{1e-6 * found['scan bytes']:.1f}"),
        ("bytes out: result files, kB", f"{1e-3 * kept['output bytes']:.1f}"),
        ("bytes out: ledger, kB", f"{1e-3 * kept['ledger bytes']:.1f}"),
        ("bytes out: a page and its JSON (`--report`), kB", f"{1e-3 * full['page']:,.0f}"),
    ]
    kinds = [(name, on_gpu) for name in ("demo", "full") for on_gpu in (False, True)]
    columns = [dict(needs(costs[name], on_gpu)) for name, on_gpu in kinds]
    rows = list(dict.fromkeys(key for column in columns for key in column))
    needs = [(row, *(column.get(row, "") for column in columns)) for row in rows]
    facts = found["machine"]
    where = (
        f"{facts['processor']}, one core of {facts['machine_cores']}; fmtool {facts['fmtool']}; "
        f"{facts['date'][:10]}."
    )
    parts = [
        "## Measured: a scan on one core",
        " ".join([where, *machine.warnings(facts)]),
        markdown(_STAGES, by_stage),
        markdown(("", "demo", "full size"), others),
        "## Measured: what the command does for each scan",
        markdown(("", "a scan"), command),
        f"## Computed: {DAY:,} scans a day",
        _assumed(),
        markdown(("", *_KINDS), needs),
        markdown(("", "in all"), flows(found["scan bytes"], kept, full["page"])),
        "## Computed: what deaths cost",
        "More processor time, full size:",
        markdown(("", "more"), retries(costs["full"])),
        "## What breaks first",
        "One of each, in scans a day, the least first:",
        markdown(_BEARS, limits(found["scan bytes"], kept, found["step"])),
    ]
    return "\n\n".join(parts)


def put(page: Path, text: str) -> None:
    """Replace what is between the page's two marks.

    Raises:
        InputError: if it has no such marks.
    """
    before, begin, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise InputError(f"{page} lacks {BEGIN!r} or {END!r}")
    write_bytes(page, f"{before}{begin}\n\n{text}\n\n{end}{after}".encode())


def _assumed() -> str:
    peak, share = GPU
    return (
        f"Assumed: cores at work {BUSY:.0%} of the time, {CORES} of them a machine; of an "
        f"A100's {peak / 1e12:.0f} TFLOP/s (FP16, its vendor's figure) {share:.0%}. **GPU figures "
        "are computed: not yet run on a GPU.**"
    )
