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
        rows = list(_repeats(records(found), found))
        names: Sequence[str] = list(rows[0]) if rows else ()
    else:
        rows = records(found, long)
        names = list(rows[0]) if rows else list(fields(found))
    if json:
        for row in rows:
            console.put(json_format.dumps(row, allow_nan=False))
    else:
        console.put(as_csv(names, rows))


def _repeats(rows: Sequence[Mapping[str, Any]], told: Sequence[Mapping[str, Any]]) -> Any:
    """Of several classes a row each: the likeliest, whose share is predicted, may be another."""
    from runtime.trust.repeatability import repeatability

    for task, value in {n: v for one in told for n, v in one.get("values", {}).items()}.items():
        several = value["classes"] if value["kind"] == "multiclass" else ()
        names = {f"{task}_probability_{c}": f"{task}_probability_{c}" for c in several}
        ordered = value["kind"] == "ordinal"
        unit = "logit" if ordered else value["unit"]
        own = {task: f"{task}_score" if ordered else f"{task}_predicted"}
        for name, column in (names or own).items():
            answered = [row for row in rows if row.get(column) is not None]
            found = repeatability(
                [row[column] for row in answered], [row["participant_id"] for row in answered]
            )
            yield {"task": name, "unit": unit, **found.to_dict()}
