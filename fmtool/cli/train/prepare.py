"""`fmtool train prepare`: a cohort's scans into the store, once for all trainings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fmtool.cli.options import BundleOption
from fmtool.cli.train import run_options as o


def prepare(
    cohort: Annotated[
        Path,
        typer.Argument(
            help="A CSV (image_path, mask_path) or a BIDS folder; no labels are needed.",
            show_default=False,
        ),
    ],
    cache: o.CacheOption = o.CACHE,
    bundle: BundleOption = None,
    jobs: Annotated[
        int, typer.Option("--jobs", "-j", min=1, help="Processes that prepare scans at once.")
    ] = 1,
    report: Annotated[
        Path | None,
        typer.Option(
            "--report",
            help="Folder for the cohort's quality: a table with a column per check, and a page "
            "with pictures, the most unusual scans first.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Preprocess a cohort once; what is done is verified and kept, what is damaged is redone."""
    from fmtool import bundle as bundles
    from fmtool.cli import console
    from runtime.report.publish import check_writable
    from training import cohort as cohorts
    from training.store import quality_table
    from training.store.prepare import attempt, told

    if report is not None:
        check_writable(report)  # before hours of work, not after

    table = cohorts.read(cohort, None)
    for sentence in table.remarks:
        console.say(sentence)
    with bundles.open(bundle) as opened:
        outcome = attempt(table, cache / "volumes", opened, jobs, anew=True)
        written = quality_table.write(report, table, outcome, opened) if report else []
    for line, problem in outcome.problems:
        console.complain(f"{table.path} line {line}: {problem}")
    for sentence in told(table, outcome, False):
        console.say(sentence.replace("Left out, ", "Refused, and left out by trainings: "))
    done = len(table.rows) - len(outcome.problems)
    console.put(f"{done} of {len(table.rows)} scans are prepared in {cache / 'volumes'}")
    for path in written:
        console.put(str(path))
    if outcome.problems:
        raise typer.Exit(1)
