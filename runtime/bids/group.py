"""The group level: every scan's answers in one table, with a dictionary of its columns."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fmtool.errors import InputError
from runtime.bids import change, dataset
from runtime.bids.derivatives import Derivatives, answers
from runtime.bids.names import HeadName
from runtime.report.columns import TableColumn, dictionary
from runtime.report.rows import cell, fields, records
from runtime.result import Failure
from runtime.system.atomic import write_bytes

TABLE = "group_predictions"
_EMPTY = "n/a"
_ABSENT = "not answered: the participant level says why"

_SOURCE = TableColumn("The scan, in the data set of raw data.")


def write(raw: Path, folder: Path, heads: Sequence[Path]) -> list[Path]:
    """Write `group_predictions.tsv`, its dictionary, the table of changes and the index.

    Returns their paths.

    Args:
        raw: the data set of raw data.
        folder: of its derivatives.
        heads: the scans wanted, a row each: one without an answer says so.

    Raises:
        InputError: if there is no answer, one is another bundle's, or a file cannot be written.
    """
    digest = dataset.digest(folder)
    told = {str(one["scan"]): one for one in answers(folder)}
    if strange := [s for s, one in told.items() if one["bundle"]["digest"] != digest]:
        raise InputError(
            f"{folder} holds an answer of another bundle ({strange[0]}); remove that subject's "
            "files, and run it again"
        )
    names = [head.relative_to(raw).as_posix() for head in heads]
    rows = [told.get(name) or Failure(name, _ABSENT).to_dict() for name in names]
    if not any(name in told for name in names):
        raise InputError(f"{folder} holds no answer; run the participant level first")
    table, columns = _table(rows)
    paths = [folder / f"{TABLE}.tsv", folder / f"{TABLE}.json"]
    write_bytes(paths[0], table.encode())
    write_bytes(paths[1], dictionary(columns))
    failures = [{**row, "scan": str(raw / row["scan"])} for row in rows if "error" in row]
    paths += change.write(raw, folder, {name: told[name] for name in names if name in told})
    return [*paths, Derivatives(raw, folder, digest).write_index(failures)]


def _table(rows: Sequence[Mapping[str, Any]]) -> tuple[str, dict[str, TableColumn]]:
    """The rows as BIDS wants a table, and its columns; sessions and runs where there are any."""
    names = [HeadName.of(Path(str(row["scan"]))) for row in rows]
    known = fields(rows)
    for column, entity in (("session_id", "ses"), ("run", "run")):
        if not any(entity in name.entities for name in names):
            del known[column]
    columns = {("source" if n == "scan" else n): column for n, column in known.items()}
    columns["source"] = _SOURCE
    lines = ["\t".join(columns)]
    for name, row in zip(names, records(rows), strict=True):
        own = {**row, "participant_id": name.subject, "source": name.path}
        lines.append("\t".join(_cell(cell(own, column)) for column in columns))
    return "\n".join(lines) + "\n", columns


def _cell(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip() or _EMPTY
