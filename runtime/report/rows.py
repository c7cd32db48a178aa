"""Several results as CSV, a row per scan."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from fmtool.errors import shown
from runtime.report import words

_REGRESSION = ("low", "high", "corrected")
_BINARY = ("class", "probability", "prevalence", "set")
_BEATS = "beats_baseline"
_SPACE = "\\s\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff"
# What a spreadsheet would run: it may pass over what does not show, and take wide signs for narrow.
_FORMULA = re.compile(f"[{_SPACE}]*[=+\\-@\uff1d\uff0b\uff0d\uff20|%]|[{_SPACE}]*[\t\r]")
_QUOTED = re.compile('[",;\t\r\n]|^\\s|\\s$')  # a semicolon parts cells in some languages


def csv_rows(results: Sequence[Mapping[str, Any]]) -> str:
    """Results and failures as CSV text with a header line.

    Columns: `scan`; for each task `TASK` (the value; the sigmoid of the second class's logit),
    `TASK_unit`, `TASK_level` and, for a regression, `TASK_low`, `TASK_high` (its interval) and
    `TASK_corrected`, for a binary task `TASK_class`, `TASK_probability` (calibrated, where the
    second class has the share `TASK_prevalence`) and `TASK_set` (the classes not excluded, joined
    by "|"), `TASK_beats_baseline`; then `checks`
    (the gravest verdict), `novelty_p`, `brain_volume_ml`, `seconds`, `warnings`, `error`, `bundle`,
    `bundle_digest`, `engine`, `version`, `finished`. A cell without a value is empty. Text that a
    spreadsheet would take for a formula gets a leading apostrophe; what a terminal would obey is
    escaped.

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
        own = _BINARY if task in binary else _REGRESSION
        columns += [task, *(f"{task}_{name}" for name in ("unit", *own, "level", _BEATS))]
    columns += ["checks", "novelty_p", "brain_volume_ml", "seconds", "warnings", "error"]
    columns += ["bundle", "bundle_digest", "engine", "version", "finished"]
    table = [columns, *([line.get(column, "") for column in columns] for line in lines)]
    return "".join(",".join(map(_quoted, cells)) + "\n" for cells in table)


def _quoted(cell: Any) -> str:
    text = str(cell)
    return '"' + text.replace('"', '""') + '"' if _QUOTED.search(text) else text


def _row(result: Mapping[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = {name: result.get(name, "") for name in ("scan", "version", "finished")}
    if "error" in result:
        row["error"] = result["error"]
        return _safe(row)
    for task, value in result["values"].items():
        row |= {task: _number(value["value"]), f"{task}_unit": value["unit"]}
        row |= {f"{task}_{name}": cell for name, cell in _limits(value).items()}
        row[f"{task}_{_BEATS}"] = value["evidence"].get("beats_baseline", "")
    said = [*result["warnings"], *(w for v in result["values"].values() for w in v["warnings"])]
    row |= {
        "novelty_p": _number(result.get("novelty_p")),
        "checks": words.worst(result),
        "brain_volume_ml": f"{result['facts']['brain_volume_ml']:.1f}",
        "seconds": f"{result['timings']['total']:.2f}",
        "warnings": " ".join(said),
        "bundle": result["bundle"]["name"],
        "bundle_digest": result["bundle"]["digest"],
        "engine": result["engine"],
    }
    return _safe(row)


def _limits(value: Mapping[str, Any]) -> dict[str, str]:
    """What is known of one scan's own answer, by the end of its column's name."""
    if value["kind"] == "binary":
        members = value.get("prediction_set")
        return {
            "class": value["class"],
            "probability": _number(value.get("probability")),
            "prevalence": _number(value.get("prevalence")),
            "set": "|".join(members or ()),
            "level": _number(value.get("prediction_set_level")),
        }
    interval = value.get("interval") or {}
    return {
        **{name: _number(interval.get(name)) for name in ("low", "high", "level")},
        "corrected": _number(value.get("corrected")),
    }


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def _safe(row: dict[str, Any]) -> dict[str, Any]:
    """Numbers stay as they are: a negative one begins with a minus and is no formula."""

    def cell(value: Any) -> Any:
        if not isinstance(value, str):
            return value
        text = shown(value)
        formula = _FORMULA.match(value) and not _is_number(value)
        return f"'{text}" if formula else text

    return {name: cell(value) for name, value in row.items()}


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
