"""Labels: what a column's cells say, by the units and levels that a BIDS sidecar gives them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from fmtool.errors import InputError
from fmtool.task import Task

MISSING = frozenset({"", "n/a", "na", "nan", "none", "null", "missing", "unknown", "-", ".", "?"})
"""What tables write, in any case, where there is no value."""

_MAX_BYTES = 4 << 20
_COMMA = re.compile(r"([+-]?\d*),(\d+)")
_BOUND = re.compile(r"[<>]=?\s*\d+([.,]\d+)?|\d+([.,]\d+)?\s*\+")  # 89+, as tables hide an age
_YEAR = 365.25  # days
_DAYS = {
    **dict.fromkeys(("year", "years", "yr", "yrs", "y"), _YEAR),
    **dict.fromkeys(("month", "months", "mo", "mos"), _YEAR / 12),
    **dict.fromkeys(("week", "weeks", "wk", "wks"), 7.0),
    **dict.fromkeys(("day", "days", "d"), 1.0),
}


class LeftOut(NamedTuple):
    """Why a scan is not used although nothing is wrong with the table."""

    why: str


@dataclass(frozen=True)
class LabelColumn:
    """A task's labels in one table.

    Attributes:
        task: whose they are.
        factor: from the column's unit to the task's.
        levels: what the sidecar says that a cell means.
        remark: a sentence on how cells are read, or an empty string.
        decimal_comma: whether 34,5 is a number.
    """

    task: Task
    factor: float = 1.0
    levels: Mapping[str, str] = field(default_factory=dict)
    remark: str = ""
    decimal_comma: bool = True

    def label(self, cell: str) -> float | LeftOut:
        """A cell as `Task.parse_label` reads it; or that it is empty, in any spelling but a class's
        name, or a bound.

        Raises:
            InputError: for a cell that is neither.
        """
        task, word = self.task, cell.strip()
        meant = self.levels.get(word, word)
        named = {name.lower() for name in task.classes or ()}  # a class may be called "none"
        if meant.lower() in MISSING - named:
            return LeftOut(f"{task.label} is {word!r}")
        if task.kind == "regression" and _BOUND.fullmatch(meant):
            return LeftOut(f"{task.label} is {word!r}, a bound and not a value")
        if task.kind == "regression" and _COMMA.fullmatch(meant):
            point = _COMMA.sub(r"\1.\2", meant)
            if not self.decimal_comma:
                raise InputError(
                    f"{task.label} is {word!r}: write a decimal point, {point}, or divide the "
                    "cells by semicolons or tabs"
                )
            meant = point
        if self.factor != 1.0:
            with suppress(ValueError):  # `parse_label` says what is wrong with it
                meant = repr(float(meant) * self.factor)
        return task.parse_label(meant)


def given(cell: str | None) -> str | None:
    """A cell of a table, or None where it is empty in any spelling."""
    return cell if cell and cell.lower() not in MISSING else None


def column(table: Path, task: Task) -> LabelColumn:
    """How a BIDS table's labels are read, by the JSON file beside it.

    `Units` of a time are converted to the task's; other units must be the task's own. `Levels` that
    say what a code means are followed, so that 1 and 2 may stand for female and male.

    Args:
        table: a TSV; its sidecar has the same name and ends in .json.
        task: whose labels.

    Raises:
        InputError: for a sidecar that cannot be read, or a unit that cannot be converted.
    """
    sidecar = table.with_suffix(".json")
    told = _said(sidecar, task.label)
    if task.classes is not None:
        return LabelColumn(task, levels=_levels(told, task))
    units = told.get("Units")
    if not isinstance(units, str) or units.strip().lower() in MISSING:
        return LabelColumn(task)
    days, own = _days(units), _days(task.unit)
    if days and own:
        if days == own:
            return LabelColumn(task)
        remark = f"{task.label} is in {units} in {sidecar.name}, and converted to {task.unit}."
        return LabelColumn(task, days / own, remark=remark)
    here, there = task.unit.lower(), units.lower()
    if bool(days) != bool(own) or not (here in there or there in here):
        raise InputError(
            f"{sidecar} says that {task.label} is in {units!r:.60}, and the task {task.name} is in "
            f"{task.unit}; convert the column, or correct its Units"
        )
    return LabelColumn(task)


def _said(sidecar: Path, label: str) -> Mapping[str, Any]:
    """What a sidecar says of a column; nothing where there is no sidecar, or not of that."""
    if not sidecar.is_file():
        return {}
    try:
        if sidecar.stat().st_size > _MAX_BYTES:
            raise ValueError(f"it is larger than {_MAX_BYTES >> 20} MiB")
        found = json.loads(sidecar.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{sidecar} is not JSON ({error!s:.120}); mend or remove it") from None
    said = found.get(label) if isinstance(found, dict) else None
    return said if isinstance(said, dict) else {}


def _levels(said: Mapping[str, Any], task: Task) -> dict[str, str]:
    """Cell -> what it means, where the sidecar's levels name the task's classes."""
    levels = said.get("Levels")
    found: dict[str, str] = {}
    others: dict[str, str] = {}
    for cell, words in levels.items() if isinstance(levels, dict) else ():
        text = words.get("Description", "") if isinstance(words, dict) else words
        for word in (str(text).strip(), *re.findall(r"[A-Za-z]\w*", str(text))):
            with suppress(InputError):
                task.parse_label(word)
                found[str(cell)] = word
                break
        else:
            others[str(cell)] = str(text).strip()
    # A code that means neither class, where the others do, is neither class 0 nor class 1.
    codes = {cell: text for cell, text in others.items() if cell.isdigit()}
    return {**codes, **found} if found else {}


def _days(units: str) -> float | None:
    """How many days a unit of time is; None of another."""
    words = re.findall(r"[a-z]+", units.lower())
    return next((_DAYS[word] for word in words if word in _DAYS), None)
