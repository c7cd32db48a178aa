"""A batch's results, from the ledger into files: CSV with its dictionary, JSON lines, Parquet."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from runtime.ledger import Ledger
from runtime.ledger.outcomes import outcomes
from runtime.report.columns import dictionary
from runtime.report.parquet import has_parquet, parquet
from runtime.report.rows import csv_rows, fields
from runtime.system.atomic import write_bytes

NAME = "results"


def write(
    ledger: Ledger,
    folder: Path,
    items: Iterable[int] | None = None,
    tasks: Collection[str] | None = None,
) -> list[Path]:
    """Write what has been answered or has failed, in order; the files' paths.

    Args:
        ledger: to read.
        folder: for `results.csv`, `results.jsonl`, `results.json` (what each column holds) and,
            with pyarrow, `results.parquet`.
        items: numbers, in the order wanted; all in the ledger's order if absent.
        tasks: those to write; all if absent.

    Raises:
        InputError: if the folder cannot be written, or is full.
    """
    return write_rows([_of(tasks, outcome) for outcome in outcomes(ledger, items)], folder)


def answered(
    ledger: Ledger, items: Iterable[int], tasks: Collection[str]
) -> Iterator[dict[str, Any]]:
    """The results among what `write` writes, each scan once."""
    for outcome in outcomes(ledger, dict.fromkeys(items)):
        if "values" in outcome:
            yield _of(tasks, outcome)


def write_rows(rows: Sequence[dict[str, Any]], folder: Path) -> list[Path]:
    """Write results and failures, by `outcomes`, as they come; the files' paths.

    Each file is replaced in one step. Parquet is left out where pyarrow is not installed.

    Raises:
        InputError: if the folder cannot be written, or is full.
    """
    paths = [folder / f"{NAME}.{end}" for end in ("csv", "jsonl", "json", "parquet")]
    write_bytes(paths[0], csv_rows(rows).encode())
    lines = "".join(json.dumps(row, allow_nan=False) + "\n" for row in rows)
    write_bytes(paths[1], lines.encode())
    write_bytes(paths[2], dictionary(fields(rows)))
    if not has_parquet():
        return paths[:3]
    write_bytes(paths[3], parquet(rows))
    return paths


def _of(tasks: Collection[str] | None, outcome: dict[str, Any]) -> dict[str, Any]:
    if tasks is None or "values" not in outcome:
        return outcome
    return outcome | {"values": {k: v for k, v in outcome["values"].items() if k in tasks}}
