"""`fmtool bench`: what a bundle's network costs on this machine, and how exact it is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fmtool.cli.options import BundleOption, DeviceOption, ThreadsOption

_Seconds = Annotated[
    float | None,
    typer.Option(
        help="Timed inferences per system take at least so long, and are at least 10; 3 if absent.",
        show_default=False,
    ),
]
_Check = Annotated[
    str | None,
    typer.Option(
        "--check",
        help="Bounds that every engine must keep, such as 'latency_p90<4,age_shift<0.5'; "
        "exit code 1 if one does not.",
    ),
]


def bench(
    scans: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Heads to measure on, through the whole pipeline too; the bundle's template, a "
            "prepared brain, if absent.",
            show_default=False,
        ),
    ] = None,
    bundle: BundleOption = None,
    engine: Annotated[
        list[str] | None,
        typer.Option("--engine", help="An engine; repeat for several, all that run if absent."),
    ] = None,
    precision: Annotated[
        list[str] | None,
        typer.Option("--precision", help="A precision; repeat for several, all if absent."),
    ] = None,
    device: DeviceOption = "auto",
    batch: Annotated[str, typer.Option(help="Batches whose throughput is measured.")] = "1,2,4",
    seconds: _Seconds = None,
    repeats: Annotated[
        int | None, typer.Option(help="Instead: exactly so many inferences.", show_default=False)
    ] = None,
    against: Annotated[
        list[str] | None,
        typer.Option(
            "--against",
            help="Measure torch, or OpenVINO as it comes, in the same run: torch, openvino, or "
            "PEER:VARIANT for one.",
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The report's JSON file.")] = None,
    markdown: Annotated[
        Path | None, typer.Option("--markdown", help="Write the tables here.")
    ] = None,
    plot: Annotated[Path | None, typer.Option("--plot", help="Write a PNG here.")] = None,
    check: _Check = None,
    threads: ThreadsOption = None,
) -> None:
    """Measure each engine and precision: start, latency, throughput, memory, accuracy, limit."""
    from benchmarks.bench import candidates, table
    from benchmarks.bench import columns as figures
    from benchmarks.bench.files import Files
    from benchmarks.bench.run import run
    from benchmarks.bench.timing import request
    from fmtool import bundle as bundles
    from fmtool.cli import console

    wanted = request(scans or (), batch, seconds, repeats)
    files = Files(out, markdown, plot)
    with bundles.open(bundle) as opened:
        shown = figures.columns(opened.tasks.values(), wanted.batches, bool(scans))
        bounds = figures.parse(check, [column.name for column in shown]) if check else []
        files.claim()
        found, absent = candidates.find(opened.path, engine or (), precision or (), device)
        found += candidates.against(against or (), opened.path, device)
        named = [*(engine or ()), *(precision or ())]
        with console.activity("Measuring") as status:
            report = run(opened, found, absent, wanted, named, status.update)
    files.write(report)
    for sentence in table.head(report):
        console.put(sentence)
    for part in table.rich_tables(report):
        console.table(part)
    for name, why in report["not_run"].items():
        console.say(f"Not run: {name}: {why}")
    missed = figures.missed(bounds, report["systems"])
    for sentence in missed:
        console.complain(sentence)
    if missed:
        raise typer.Exit(1)
