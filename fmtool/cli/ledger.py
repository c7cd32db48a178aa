"""`fmtool ledger show|export|retry|vacuum`: the record of a batch."""

from __future__ import annotations

import json as json_format
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fmtool.cli.options import JsonOption
from fmtool.errors import InputError, UsageError

if TYPE_CHECKING:
    from runtime.ledger.ledger import State

app = typer.Typer(help="The record of a batch: what is done, what failed.", no_args_is_help=True)

_LEFT = ("waiting", "running")
_Ledger = Annotated[
    Path, typer.Argument(help="A ledger, or the folder of a batch that holds it.", metavar="LEDGER")
]


@app.command("show")
def show(
    ledger: _Ledger,
    state: Annotated[
        str | None,
        typer.Option("--state", help="Only waiting, running, done, failed or quarantined ones."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Show each item, its state, and why it failed."""
    from fmtool.cli import console
    from runtime.ledger import Ledger
    from runtime.ledger.outcomes import counts, items
    from runtime.ledger.table import render

    with Ledger(file_of(ledger)) as opened:
        found = items(opened, _checked(state) if state else None)
        if json:
            for item in found:
                console.put(json_format.dumps(item.to_dict()))
        else:
            console.table(render(found))
            said = ", ".join(f"{n} {name}" for name, n in counts(opened).items() if n)
            console.say(said or "no items")


@app.command("export")
def export(
    ledgers: Annotated[
        list[Path],
        typer.Argument(
            help="Ledgers, or the folders of batches that hold them; their rows follow each other.",
            metavar="LEDGER...",
        ),
    ],
    folder: Annotated[Path, typer.Argument(help="Folder for the files.", metavar="DIR")],
) -> None:
    """Write the results of all items: results.csv, results.jsonl, results.parquet."""
    from fmtool.cli import console
    from runtime.batch import outputs
    from runtime.ledger import Ledger
    from runtime.ledger.outcomes import counts, outcomes
    from runtime.report.parquet import has_parquet
    from runtime.report.publish import check_writable

    files = [file_of(ledger) for ledger in ledgers]
    check_writable(folder)
    rows: list[dict[str, Any]] = []
    left = 0
    for file in files:
        with Ledger(file) as opened:
            rows += outcomes(opened)
            left += sum(n for state, n in counts(opened).items() if state in _LEFT)
    for path in outputs.write_rows(rows, folder):
        console.put(str(path))
    failed = sum("error" in row for row in rows)
    console.say(f"{len(rows) - failed} done, {failed} failed, {left} left")
    if not has_parquet():
        console.say("No Parquet: pyarrow is not installed (`pip install 'fmtool[parquet]'`)")


@app.command("retry")
def retry(
    ledger: _Ledger,
    state: Annotated[
        list[str] | None, typer.Option("--state", help="failed (if absent) or quarantined.")
    ] = None,
) -> None:
    """Let failed items wait again; the command that named them takes them up."""
    from fmtool.cli import console
    from runtime.ledger import Ledger

    states = [_checked(one) for one in state or ["failed"]]
    if wrong := [one for one in states if one not in ("failed", "quarantined")]:
        raise UsageError(f"what is {wrong[0]} cannot be retried; failed or quarantined items can")
    with Ledger(file_of(ledger)) as opened:
        console.put(f"{opened.retry(states)} items wait again")


@app.command("vacuum")
def vacuum(ledger: _Ledger) -> None:
    """Give the space that the ledger does not use back to the disk."""
    from fmtool.cli import console
    from runtime.ledger import Ledger

    path = file_of(ledger)
    before = path.stat().st_size
    with Ledger(path) as opened:
        opened.vacuum()
    console.say(f"{max(0, before - path.stat().st_size) / 1e6:.2f} MB freed")


def file_of(given: Path) -> Path:
    """The ledger of a folder, or itself.

    Raises:
        InputError: if there is none.
    """
    from runtime.ledger import FILE

    path = given / FILE if given.is_dir() else given
    if not path.is_file():
        raise InputError(f"{path} does not exist; name the --out folder of a batch")
    return path


def _checked(state: str) -> State:
    from runtime.ledger.ledger import STATES

    for known in STATES:
        if state == known:
            return known
    raise UsageError(f"no item is {state!r}; there are {', '.join(STATES)}")
