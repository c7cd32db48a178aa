"""Several results as CSV, a row per scan."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from runtime import words

_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet would run


def csv_rows(results: Sequence[Mapping[str, Any]]) -> str:
    """Results and failures as CSV text with a header line.

    Columns: `scan`; for each task `TASK` (the value; the probability of the second class),
    `TASK_unit`, for a binary task `TASK_class`, `TASK_beats_baseline`; then `checks` (the gravest
    verdict), `brain_volume_ml`, `seconds`, `warnings`, `error`, `bundle`, `bundle_digest`,
    `engine`, `version`. Text that a spreadsheet would take for a formula gets a leading apostrophe.

    Args:
        results: `Result.to_dict()` and `Failure.to_dict()`, in any mix.
    """
    lines = [_row(result) for result in results]
    tasks = list(dict.fromkeys(name for r in results for name in r.get("values", {})))
    binary = {
        name
        for r in results
        for name, value in r.get("values", {}).items()
        if value["kind"] == "binary"
    }
    columns = ["scan"]
    for task in tasks:
        columns += [task, f"{task}_unit"]
        columns += [f"{task}_class"] if task in binary else []
        columns.append(f"{task}_beats_baseline")
    columns += ["checks", "brain_volume_ml", "seconds", "warnings", "error"]
    columns += ["bundle", "bundle_digest", "engine", "version"]
    stream = io.StringIO()
    writer = csv.DictWriter(stream, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return stream.getvalue()


def _row(result: Mapping[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = {"scan": result["scan"], "version": result["version"]}
    if "error" in result:
        row["error"] = result["error"]
        return _safe(row)
    for task, value in result["values"].items():
        row |= {task: f"{value['value']:.6g}", f"{task}_unit": value["unit"]}
        if value["kind"] == "binary":
            row[f"{task}_class"] = value["class"]
        row[f"{task}_beats_baseline"] = value["evidence"].get("beats_baseline", "")
    said = [*result["warnings"], *(w for v in result["values"].values() for w in v["warnings"])]
    row |= {
        "checks": words.worst(result),
        "brain_volume_ml": f"{result['facts']['brain_volume_ml']:.1f}",
        "seconds": f"{result['timings']['total']:.2f}",
        "warnings": " ".join(said),
        "bundle": result["bundle"]["name"],
        "bundle_digest": result["bundle"]["digest"],
        "engine": result["engine"],
    }
    return _safe(row)


def _safe(row: dict[str, Any]) -> dict[str, Any]:
    """Numbers stay as they are; a negative one begins with a minus and is no formula."""

    def cell(value: Any) -> Any:
        if isinstance(value, str) and value.startswith(_FORMULA) and not _is_number(value):
            return f"'{value}"
        return value

    return {name: cell(value) for name, value in row.items()}


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
