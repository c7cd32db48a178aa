"""The group level: every scan's answers in one table, with a dictionary of its columns."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fmtool import NOTICE
from fmtool.errors import InputError
from runtime.bids import dataset
from runtime.bids.derivatives import Derivatives, answers
from runtime.bids.names import HeadName
from runtime.report.rows import csv_rows
from runtime.result import Failure
from runtime.system.atomic import write_bytes

TABLE = "group_predictions"
_EMPTY = "n/a"
_ABSENT = "not answered: the participant level says why"

_COLUMNS = {
    "participant_id": "The participant.",
    "session_id": "The session.",
    "source": "The scan, in the data set of raw data.",
    "checks": "The gravest verdict of the checks of the scan: ok, warn or refuse.",
    "novelty_p": "p-value of the scan among the heads' calibration cohorts; small is unusual.",
    "brain_volume_ml": "Volume of the brain mask.",
    "seconds": "Time that the answer took.",
    "warnings": f"What a reader must see beside the answers. {NOTICE}",
    "error": "Why there is no answer.",
    "bundle": "The bundle that answered.",
    "bundle_digest": "SHA-256 of the bundle's manifest.",
    "engine": "What computed the network.",
    "version": "Of fmtool.",
    "finished": "When the answer was given, with the offset from UTC.",
}
_UNITS = {"brain_volume_ml": "mL", "seconds": "s"}
_OF_TASK = {
    "": "The head's answer; of a binary task the uncalibrated probability of the second class.",
    "_unit": "Unit of the answer.",
    "_low": "Lower limit of the interval of this scan's answer.",
    "_high": "Upper limit of the interval of this scan's answer.",
    "_corrected": "The answer without its regression to the mean.",
    "_class": "The likelier class.",
    "_probability": "Calibrated probability of the second class.",
    "_prevalence": "Share of the second class among scans that the probability assumes.",
    "_set": "Classes that cannot be excluded, joined by |.",
    "_level": "Level of the interval or of the set of classes.",
    "_beats_baseline": "Whether the head beat its baseline in cross-validation.",
}


def write(raw: Path, folder: Path, heads: Sequence[Path]) -> list[Path]:
    """Write `group_predictions.tsv`, its dictionary and the index; their paths.

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
    values = {task: value for one in told.values() for task, value in one["values"].items()}
    paths = [folder / f"{TABLE}.tsv", folder / f"{TABLE}.json"]
    write_bytes(paths[0], table.encode())
    write_bytes(paths[1], (json.dumps(_dictionary(columns, values), indent=2) + "\n").encode())
    failures = [{**row, "scan": str(raw / row["scan"])} for row in rows if "error" in row]
    return [*paths, Derivatives(raw, folder, digest).write_index(failures)]


def _table(rows: Sequence[Mapping[str, Any]]) -> tuple[str, list[str]]:
    """The rows as BIDS wants a table, and its columns."""
    found = list(csv.DictReader(io.StringIO(csv_rows(rows))))
    heads = [HeadName.of(Path(str(row["scan"]))) for row in rows]
    sessions = any("ses" in head.entities for head in heads)
    first = ["participant_id", *(["session_id"] if sessions else []), "source"]
    columns = [*first, *(column for column in found[0] if column != "scan")]
    lines = ["\t".join(columns)]
    for head, row in zip(heads, found, strict=True):
        session = head.entities.get("ses")
        own = {
            "participant_id": head.subject,
            "session_id": f"ses-{session}" if session else "",
            "source": head.path,
        }
        lines.append("\t".join(_cell({**row, **own}[column]) for column in columns))
    return "\n".join(lines) + "\n", columns


def _cell(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip() or _EMPTY


def _dictionary(columns: Sequence[str], values: Mapping[str, Any]) -> dict[str, Any]:
    described: dict[str, Any] = {}
    for column in columns:
        if column in _COLUMNS:
            described[column] = {"Description": _COLUMNS[column]}
            if column in _UNITS:
                described[column]["Units"] = _UNITS[column]
            continue
        task = max((t for t in values if column.startswith(t)), key=len)
        end, value = column.removeprefix(task), values[task]
        described[column] = {"Description": f"{task}: {_OF_TASK[end]}"}
        if end in ("", "_low", "_high", "_corrected") and value["kind"] != "binary":
            described[column]["Units"] = value["unit"]
        if end == "_class":
            described[column]["Levels"] = {name: name for name in value["classes"]}
    return described
