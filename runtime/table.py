"""A table of several results for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from fmtool import NOTICE
from runtime import words

_WORD = {"ok": ("ok", "green"), "warn": ("warning", "yellow"), "refuse": ("refused", "red")}


def render(results: Sequence[Mapping[str, Any]]) -> Table:
    """One row per scan: each task's answer with its cohort error, the checks, the seconds.

    Args:
        results: `Result.to_dict()` and `Failure.to_dict()`, in any mix.
    """
    tasks = list(dict.fromkeys(name for r in results for name in r.get("values", {})))
    weak = False
    table = Table("scan", *tasks, "checks", "seconds", caption_justify="left")
    for result in results:
        if "error" in result:
            # the sentence is on stderr already; a row of the table only says that there is none
            cells = [Text("-") for _ in tasks]
            table.add_row(Text(str(result["scan"])), *cells, Text("failed", "red"), "-")
            continue
        cells = []
        for task in tasks:
            value = result["values"].get(task)
            cells.append(_cell(value) if value else Text("-"))
            judged = words.against_baseline(value) if value else None
            weak = weak or (judged is not None and not judged[0])
        word, style = _WORD[words.worst(result)]
        seconds = words.number(result.get("timings", {}).get("total"))
        table.add_row(Text(str(result["scan"])), *cells, Text(word, style), seconds)
    notes = ["± and AUC: the head's error in its own cohort, cross-validated."] if tasks else []
    if weak:
        notes.append("* no better than its baseline: a demonstration, not information.")
    table.caption = Text("\n".join([*notes, NOTICE]))
    return table


def _cell(value: Mapping[str, Any]) -> Text:
    large, unit = words.answer(value)
    judged = words.against_baseline(value)
    star = "*" if judged is not None and not judged[0] else ""
    cell = Text(f"{large}{star}", "bold")
    cell.append(f" {unit}", "not bold")
    error = words.margin(value)
    if error is not None:
        cell.append(f"\n{error}", "dim not bold")
    return cell
