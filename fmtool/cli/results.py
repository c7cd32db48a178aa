"""`fmtool results`: a batch's answers as a table for analysis, and how far repeats lie apart."""

from __future__ import annotations

import json as json_format
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from fmtool.cli.ledger import file_of
from fmtool.cli.options import JsonOption


def results(
    batch: Annotated[
        Path,
        typer.Argument(help="The --out folder of a batch, or its ledger.", metavar="OUT"),
    ],
    long: Annotated[
        bool,
        typer.Option("--long/--wide", help="A row for each scan and task, or for each scan."),
    ] = False,
    repeat: Annotated[
        bool,
        typer.Option(
            "--repeat",
            help="Instead, of participants with several scans: the spread within a participant and "
            "the repeatability coefficient, per task.",
        ),
    ] = False,
    json: JsonOption = False,
) -> None:
    """Print a batch's results as CSV, or as JSON lines: the fields of its results.csv."""
    from fmtool.cli import console
    from runtime.ledger import Ledger
    from runtime.ledger.outcomes import outcomes
    from runtime.report.rows import as_csv, fields, records

    with Ledger(file_of(batch)) as opened:
        found = list(outcomes(opened))
    if repeat:
        rows = list(_repeats(records(found), fields(found)))
        names: Sequence[str] = list(rows[0]) if rows else ()
    else:
        rows = records(found, long)
        names = list(rows[0]) if rows else list(fields(found))
    if json:
        for row in rows:
            console.put(json_format.dumps(row, allow_nan=False))
    else:
        console.put(as_csv(names, rows))


def _repeats(rows: Sequence[Mapping[str, Any]], known: Mapping[str, Any]) -> Any:
    from runtime.trust.repeatability import repeatability

    for name in known:
        task = name.removesuffix("_predicted")
        answered = [row for row in rows if row.get(name) is not None]
        if task == name or not answered:
            continue
        found = repeatability(
            [row[name] for row in answered], [row["participant_id"] for row in answered]
        )
        yield {"task": task, "unit": answered[0][f"{task}_unit"], **found.to_dict()}
