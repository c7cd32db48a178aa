"""Several results as one table, a row per scan: the fields that CSV, JSON lines and Parquet share.

Named for analysis: `participant_id`, `session_id` and `run` are what a demographic table is merged
by, and no task's column is called as that table calls what the task predicts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from fmtool import NOTICE
from fmtool.errors import shown
from fmtool.task import SEVERAL
from runtime.report import words
from runtime.report.columns import WHO, TableColumn, dictionary, who
from runtime.system.atomic import write_bytes

Record = dict[str, Any]
"""A row: each cell as what it is; None where there is nothing."""


class _Told(Protocol):
    def to_dict(self) -> dict[str, Any]: ...


Outcome = Mapping[str, Any] | _Told
"""A `Result` or a `Failure`, or what its `to_dict` gives."""

_SPACE = "\\s\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff"
# What a spreadsheet would run: it may pass over what does not show, and take wide signs for narrow.
_FORMULA = re.compile(f"[{_SPACE}]*[=+\\-@\uff1d\uff0b\uff0d\uff20|%]|[{_SPACE}]*[\t\r]")
_QUOTED = re.compile('[",;\t\r\n]|^\\s|\\s$')  # a semicolon parts cells in some languages
_SCORE = "score, in log-odds of one class more"
_DIGITS = {"brain_volume_ml": ".1f", "seconds": ".2f"}

_CONTENT = TableColumn("SHA-256 of the scan's files.")
_AFTER = {
    "checks": TableColumn(
        "The gravest verdict of the checks of the scan.",
        levels={"ok": "none is unusual", "warn": "one is", "refuse": "one refuses the scan"},
    ),
    "novelty_p": TableColumn(
        "p-value of the scan among the heads' calibration cohorts; small is unusual.", kind=float
    ),
    "brain_volume_ml": TableColumn("Volume of the brain mask.", "mL", kind=float),
    "seconds": TableColumn("Time that the answer took.", "s", kind=float),
    "warnings": TableColumn("What a reader must see of this scan beside its answers.", kind=list),
    "head_warnings": TableColumn(
        f"What holds of every scan that the bundle's heads answer. {NOTICE}", kind=list
    ),
    "error": TableColumn("Why there is no answer."),
    "bundle": TableColumn("The bundle that answered."),
    "bundle_digest": TableColumn("SHA-256 of the bundle's manifest."),
    "engine": TableColumn("What computed the network."),
    "version": TableColumn("Of fmtool."),
    "finished": TableColumn("When the answer was given, with the offset from UTC."),
}


def records(results: Iterable[Outcome], long: bool = False) -> list[Record]:
    """A row for each scan, as `pandas.DataFrame` and others take it; its cells are by `fields`.

    Example:
        >>> import fmtool, pandas
        >>> with fmtool.Predictor(device="cpu") as predictor:
        ...     table = pandas.DataFrame(fmtool.records(predictor.predict_many(["head.nii.gz"])))
        >>> [name for name in table.columns if name.endswith("_predicted")]
        ['age_predicted', 'sex_predicted']

    Args:
        results: of scans that were answered or failed, in any mix.
        long: a row for each scan and task instead, named by `task`; one that failed has none.
    """
    told = [dict(r) if isinstance(r, Mapping) else r.to_dict() for r in results]
    rows, names = [_record(result) for result in told], fields(told)
    if not long:
        return [{name: row.get(name) for name in names} for row in rows]
    tasks = {name: v for result in told for name, v in result.get("values", {}).items()}
    ends = {end: None for name, v in tasks.items() for end, _ in _of_task(name, v)}
    return [
        {
            **{name: row.get(name) for name in ("scan", *WHO)},
            "task": task,
            **{end: row.get(f"{task}_{end}") for end in ends},
            **{name: row.get(name) for name in _AFTER},
            **(_sentences(result, [task], named=False) if task else {}),
        }
        for result, row in zip(told, rows, strict=True)
        for task in [name for name in tasks if name in result.get("values", {})] or [None]
    ]


def fields(results: Sequence[Mapping[str, Any]]) -> dict[str, TableColumn]:
    """The columns of `records`, in order, with what each holds.

    For each task `TASK_predicted` and what `_of_task` lists; `qc_CHECK` is what a check measured.

    Args:
        results: see `records`.
    """
    tasks = {n: v for r in results for n, v in r.get("values", {}).items()}
    checks = {c["name"]: c for r in results for c in r.get("quality", ())}
    first = {"content": _CONTENT} if any(result.get("content") for result in results) else {}
    return {
        "scan": TableColumn("The scan."),
        **WHO,
        **first,
        **{f"{n}_{end}": column for n, v in tasks.items() for end, column in _of_task(n, v)},
        **{name: column for name, column in _AFTER.items() if name in ("checks", "novelty_p")},
        **{
            qc(name): TableColumn(f"{name}, as the checks measure it.", check["unit"], kind=float)
            for name, check in checks.items()
        },
        **{name: column for name, column in _AFTER.items() if name not in ("checks", "novelty_p")},
    }


def qc(check: str) -> str:
    """The column of what a check measured."""
    return "qc_" + re.sub(r"[^a-z0-9]+", "_", check.lower()).strip("_")


def _of_task(name: str, value: Mapping[str, Any]) -> list[tuple[str, TableColumn]]:
    """The columns of a task, each by what follows its name."""
    unit = str(value["unit"])
    if value["kind"] in SEVERAL:
        names, ordered = value["classes"], value["kind"] == "ordinal"
        calibrated = "calibrated, if the head is"
        own = {
            "predicted": TableColumn(f"{name}: uncalibrated probability of the class.", kind=float),
            "class": TableColumn(
                f"{name}: the {'median' if ordered else 'likeliest'} class.",
                levels={c: c for c in names},
            ),
            **({"score": TableColumn(f"{name}: {_SCORE}.", kind=float)} if ordered else {}),
            **{
                _chance(c): TableColumn(f"{name}: probability of {c}, {calibrated}.", kind=float)
                for c in names
            },
            **{
                f"prevalence_{c}": TableColumn(
                    f"{name}: share of {c} among scans that the probabilities assume.", kind=float
                )
                for c in names
            },
            "set": TableColumn(f"{name}: classes that cannot be excluded, joined by |."),
        }
    elif value["kind"] == "binary":
        second = value["classes"][1]
        own = {
            "predicted": TableColumn(f"{name}: uncalibrated probability of {second}.", kind=float),
            "class": TableColumn(
                f"{name}: the likelier class.", levels={c: c for c in value["classes"]}
            ),
            "probability": TableColumn(f"{name}: calibrated probability of {second}.", kind=float),
            "prevalence": TableColumn(
                f"{name}: share of {second} among scans that the probability assumes.", kind=float
            ),
            "set": TableColumn(f"{name}: classes that cannot be excluded, joined by |."),
        }
    else:
        own = {
            "predicted": TableColumn(f"{name}: the head's answer.", unit, kind=float),
            "low": TableColumn(f"{name}: lower limit of this scan's interval.", unit, kind=float),
            "high": TableColumn(f"{name}: upper limit of this scan's interval.", unit, kind=float),
            "corrected": TableColumn(
                f"{name}: the answer without its regression to the mean.", unit, kind=float
            ),
        }
    of_all = {
        "unit": TableColumn(f"{name}: unit of the answer."),
        "level": TableColumn(
            f"{name}: level of the interval or of the set of classes.", kind=float
        ),
        "beats_baseline": TableColumn(
            f"{name}: whether the head beat its baseline in cross-validation.", kind=bool
        ),
        "learnt_from": TableColumn(
            f"{name}: whether the head was fitted on this very scan: no prediction then.", kind=bool
        ),
    }
    return [*own.items(), *of_all.items()]


def _chance(name: str) -> str:
    return f"probability_{name}"


def csv_rows(results: Sequence[Mapping[str, Any]]) -> str:
    """Results and failures as CSV text with a header line; the columns are those of `fields`.

    A cell without a value is empty, a list's words are joined by spaces. Text that a spreadsheet
    would take for a formula gets a leading apostrophe; what a terminal would obey is escaped.

    Args:
        results: see `records`.
    """
    return as_csv(list(fields(results)), records(results))


def as_csv(names: Sequence[str], rows: Iterable[Record]) -> str:
    """Rows as `csv_rows` writes them, of these columns."""
    table = [names, *([cell(row, name) for name in names] for row in rows)]
    return "".join(",".join(map(_quoted, cells)) + "\n" for cells in table)


def write(path: Path, rows: Iterable[Record], columns: Mapping[str, TableColumn]) -> None:
    """Write rows as a CSV, and the columns' dictionary beside it under the same name in .json.

    Args:
        path: ends in .csv.
        rows: cells by column; None is an empty cell.
        columns: in their order.

    Raises:
        InputError: if either cannot be written.
    """
    write_bytes(path, as_csv(list(columns), rows).encode())
    write_bytes(path.with_suffix(".json"), dictionary(columns))


def cell(row: Record, name: str) -> str:
    """A row's cell as a CSV has it."""
    value = row.get(name)
    if value is None:
        return ""
    if isinstance(value, float):
        return format(value, _DIGITS.get(name, ".6g"))
    if isinstance(value, list):
        value = " ".join(value)
    return _safe(str(value))


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if _QUOTED.search(text) else text


def _record(result: Mapping[str, Any]) -> Record:
    row: Record = {name: result.get(name) for name in ("scan", "content", "version", "finished")}
    row |= {name: word or None for name, word in who(str(result["scan"])).items()}
    if "error" in result:
        return row | {"error": result["error"]}
    for task, value in result["values"].items():
        cells = {**_answer(value), **_limits(value)}
        cells["beats_baseline"] = value["evidence"].get("beats_baseline")
        cells["learnt_from"] = value.get("learnt_from", False)
        row |= {f"{task}_{end}": one for end, one in cells.items()}
    return row | {
        "novelty_p": result.get("novelty_p"),
        "checks": words.worst(result),
        **{qc(check["name"]): check["value"] for check in result["quality"]},
        "brain_volume_ml": result["facts"]["brain_volume_ml"],
        "seconds": result["timings"]["total"],
        **_sentences(result, list(result["values"]), named=True),
        "bundle": result["bundle"]["name"],
        "bundle_digest": result["bundle"]["digest"],
        "engine": result["engine"],
    }


def _sentences(result: Mapping[str, Any], tasks: Sequence[str], named: bool) -> Record:
    """The scan's own warnings and those of its answers; the latter with their task, if `named`."""
    said: list[str] = list(result["warnings"])
    of_heads: list[str] = []
    for task in tasks:
        value, about = result["values"][task], f"{task}: " if named else ""
        for sentence in value["warnings"]:
            ours = of_heads if sentence in value.get("of_head", ()) else said
            ours.append(f"{about}{sentence}")
    return {"warnings": said, "head_warnings": of_heads}


def _answer(value: Mapping[str, Any]) -> Record:
    return {"predicted": float(value["value"]), "unit": value["unit"], "class": value["class"]}


def _limits(value: Mapping[str, Any]) -> Record:
    """What is known of one scan's own answer, by the end of its column's name."""
    members = value.get("prediction_set")
    sets = {
        "set": "|".join(members) if members else None,
        "level": value.get("prediction_set_level"),
    }
    if value["kind"] in SEVERAL:
        sets |= {"score": value["score"]} if value["kind"] == "ordinal" else {}
        sets |= {f"prevalence_{name}": p for name, p in (value.get("shares") or {}).items()}
        return sets | {_chance(name): p for name, p in value["probabilities"].items()}
    if value["kind"] == "binary":
        return {
            "probability": value.get("probability"),
            "prevalence": value.get("prevalence"),
            **sets,
        }
    interval = value.get("interval") or {}
    limits = {name: interval.get(name) for name in ("low", "high", "level")}
    return {**limits, "corrected": value.get("corrected")}


def _safe(value: str) -> str:
    """What stands for a number stays as it is: a negative one is no formula."""
    text = shown(value)
    return f"'{text}" if _FORMULA.match(value) and not _is_number(value) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
