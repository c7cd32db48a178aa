"""`fmtool status`: how a watch, a service, a node or a batch stands."""

from __future__ import annotations

import json as json_format
from pathlib import Path
from typing import Annotated

import typer

from fmtool.cli.options import JsonOption
from fmtool.errors import UsageError, shown


def status(
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The outbox of a watch, or of a batch.")
    ] = None,
    spool: Annotated[Path | None, typer.Option("--spool", help="The spool of a service.")] = None,
    inbox: Annotated[
        Path | None, typer.Option("--inbox", help="The inbox of a DICOM node.")
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            help="A CSV or TSV of truths that came later (scan or participant_id, and the task's "
            "column), with --task: the errors are looked at, too.",
            show_default=False,
        ),
    ] = None,
    task: Annotated[
        str | None, typer.Option("--task", "-t", help="Of --labels.", show_default=False)
    ] = None,
    json: JsonOption = False,
) -> None:
    """Show what waits, what is done, what failed last, what drifted, and the space that is left."""
    named = [folder for folder in (out, spool, inbox) if folder is not None]
    if len(named) != 1:
        raise UsageError("name one folder, with --out, --spool or --inbox")
    from fmtool.cli import console
    from runtime.service.status import status as examine

    if (labels is None) != (task is None):
        raise UsageError("--labels and --task go together: the table, and what it is about")
    truths = None
    if labels is not None and task is not None:
        from training.site.results import truths_of

        truths = truths_of(labels, task, console.say)
    facts = examine(named[0], truths)
    if json:
        console.put(json_format.dumps(facts, indent=1))
        return
    waiting = facts["oldest_waiting"]
    console.put(f"fmtool {facts['version']}, {shown(facts['folder'])}, {facts['time']}")
    console.put(", ".join(f"{n} {state}" for state, n in facts["states"].items()))
    if waiting:
        console.put(f"oldest waiting: item {waiting['item']}, for {waiting['seconds']} s")
    console.put(f"last result: {facts['last_finished'] or 'none'}")
    console.put(f"free: {facts['free_bytes'] / 1e9:.1f} GB")
    if facts["drift"]:
        console.put(facts["drift"]["sentence"])
    for error in facts["errors"]:
        console.put(
            f"error, {error['times']} times, last {error['last']}: {shown(error['sentence'])}"
        )
