"""Talking to people and machines: results on stdout, everything else on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn, TypeVar

import typer
from rich.console import Console
from rich.status import Status

from fmtool import progress

_Item = TypeVar("_Item")

_err = Console(stderr=True, soft_wrap=True, highlight=False)
_out = Console(soft_wrap=True, highlight=False)


def say(sentence: str) -> None:
    """A remark, on stderr."""
    _err.print(sentence, markup=False)


def complain(sentence: str) -> None:
    """An input that failed, on stderr."""
    _err.print(f"error: {sentence}", markup=False, style="red")


def needs_project(verb: str, otherwise: str) -> NoReturn:
    """Two lines on what `fmtool VERB` lacks, and the end: exit code 2."""
    complain(f"`fmtool {verb}` does what a project says, and there is no fmtool.toml here")
    say(f"make one with `fmtool init COHORT`, name its folder with --project, or {otherwise}")
    raise typer.Exit(2)


def put(text: str) -> None:
    """A result, on stdout, exactly as it is."""
    sys.stdout.write(text if text.endswith("\n") else text + "\n")


def table(rows: Any) -> None:
    """A rich table or text, on stdout."""
    _out.print(rows, markup=False)


def stderr() -> Console:
    """Where remarks and progress go."""
    return _err


@contextmanager
def activity(what: str) -> Iterator[Status]:
    """A spinner on a terminal's stderr while something takes its time."""
    with _err.status(what) as status:
        yield status


def track(items: Iterable[_Item], total: int, what: str) -> Iterator[_Item]:
    """The items, with how far they are on stderr."""
    with progress.scans(total, what, say) as advance:
        for item in items:
            yield item
            advance()


def results(outcomes: Sequence[dict[str, Any]], form: str) -> None:
    """Results and failures as a table, as JSON (one array) or as CSV (a row per scan)."""
    from runtime import report
    from runtime.report import table as tables

    if form == "json":
        put(json.dumps(list(outcomes), indent=1, allow_nan=False))
    elif form == "csv":
        put(report.csv_rows(outcomes))
    else:
        table(tables.render(outcomes))
