"""`fmtool watch`: a folder that is answered for as long as the machine runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fmtool.cli.options import (
    BundleOption,
    IdentifiersOption,
    LogOption,
    TasksOption,
    ThreadsOption,
)
from runtime.ledger.names import Identifiers


def watch(
    inbox: Annotated[
        Path, typer.Argument(help="Where scans appear: NIfTI files, DICOM folders or zips.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Where answers and the ledger go.")],
    bundle: BundleOption = None,
    task: TasksOption = None,
    settle: Annotated[
        float, typer.Option("--settle", min=0.0, help="Seconds without a change: it is complete.")
    ] = 30.0,
    once: Annotated[bool, typer.Option("--once", help="End when the inbox is empty.")] = False,
    min_free: Annotated[
        int, typer.Option("--min-free", min=0, help="Of the disk, MiB: below it nothing is begun.")
    ] = 1024,
    keep_days: Annotated[
        float | None,
        typer.Option(
            "--keep-days",
            min=0.0,
            help="Days until an answered original is deleted; never if absent.",
        ),
    ] = None,
    log: LogOption = None,
    identifiers: IdentifiersOption = Identifiers.drop,
    threads: ThreadsOption = None,
) -> None:
    """Answer every scan that appears in INBOX, until told to end."""
    from runtime.service import log as logs
    from runtime.service.ending import Ending
    from runtime.service.watch import service
    from runtime.service.watch.front import WatchSettings
    from runtime.service.worker import open_worker

    logs.configure(log, identifiers)
    tasks = tuple(task) if task else None
    settings = WatchSettings(inbox, settle, tasks, once, keep_days)
    ending = Ending()
    with ending.on_signals():
        counts = service.watch(
            settings, out, lambda: open_worker(bundle, tasks), ending, min_free << 20, identifiers
        )
    if ending.code or (once and (counts["quarantined"] or counts["left"])):
        raise typer.Exit(ending.code or 1)
