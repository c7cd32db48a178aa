"""The tables of docs/scale.md, and their place in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.bench import machine
from benchmarks.scale import day, stages
from benchmarks.shared.script import markdown
from fmtool.errors import InputError
from runtime.system.atomic import write_bytes

BEGIN, END = "<!-- python -m benchmarks.scale writes from here -->", "<!-- to here -->"
_STAGES = ("stage, s", "demo, cpu", "demo, wall", "full size, cpu", "full size, wall")
_KINDS = ("demo, CPU", "demo, Triton", "full size, CPU", "full size, Triton")
_BEARS = ("", "bears", "how it is known")


def tables(found: dict[str, Any]) -> str:
    """Everything that the page shows, as Markdown."""
    demo, full, kept = found["demo"], found["full"], found["record"]
    costs = {
        name: day.Cost(one["cpu"], one["wall"], one["start"], one["peak"], found["flop"][name])
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
    columns = [dict(day.needs(costs[name], on_gpu)) for name, on_gpu in kinds]
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
        f"## Computed: {day.DAY:,} scans a day",
        _assumed(),
        markdown(("", *_KINDS), needs),
        markdown(("", "in all"), day.flows(found["scan bytes"], kept, full["page"])),
        "## Computed: what deaths cost",
        "More processor time, full size:",
        markdown(("", "more"), day.retries(costs["full"])),
        "## What breaks first",
        "One of each, in scans a day, the least first:",
        markdown(_BEARS, day.limits(found["scan bytes"], kept, found["step"])),
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
    peak, share = day.GPU
    return (
        f"Assumed: cores at work {day.BUSY:.0%} of the time, {day.CORES} of them a machine; of an "
        f"A100's {peak / 1e12:.0f} TFLOP/s (FP16, its vendor's figure) {share:.0%}. **GPU figures "
        "are computed: not yet run on a GPU.**"
    )
