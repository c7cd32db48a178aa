"""A table of several results for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from fmtool import NOTICE
from fmtool.errors import shown
from runtime.report import words

_WORD = {"ok": ("ok", "green"), "warn": ("warning", "yellow"), "refuse": ("refused", "red")}


def render(results: Sequence[Mapping[str, Any]]) -> Table:
    """One row per scan: each task's answer with its interval, the checks, the seconds.

    Where a head has no interval, its error in its cohort stands in its place.

    Args:
        results: `Result.to_dict()` and `Failure.to_dict()`, in any mix.
    """
    tasks = list(dict.fromkeys(name for r in results for name in r.get("values", {})))
    weak = learnt = False
    novelty = ["novelty p"] if any(_novelty(r) is not None for r in results) else []
    table = Table("scan", *tasks, *novelty, "checks", "seconds", caption_justify="left")
    for result in results:
        if "error" in result:
            # the sentence is on stderr already; a row of the table only says that there is none
            cells = [Text("-") for _ in [*tasks, *novelty]]
            table.add_row(Text(shown(str(result["scan"]))), *cells, Text("failed", "red"), "-")
            continue
        cells = []
        for task in tasks:
            value = result["values"].get(task)
            cells.append(_cell(value) if value else Text("-"))
            judged = words.against_baseline(value) if value else None
            weak = weak or (judged is not None and not judged[0])
            learnt = learnt or bool(value and value.get("learnt_from"))
        if novelty:
            p = _novelty(result)
            cells.append(Text("-" if p is None else f"{p:.2g}"))
        word, style = _WORD[words.worst(result)]
        seconds = words.number(result.get("timings", {}).get("total"))
        table.add_row(Text(shown(str(result["scan"]))), *cells, Text(word, style), seconds)
    values = [v for r in results for v in r.get("values", {}).values()]
    limited = [words.interval(v) is not None for v in values]
    notes = []
    if any(limited):
        notes.append("90 %: holds the truth in that share of scans like the head's own cohort.")
    if not all(limited):
        how = sorted({v["evidence"].get("how") or "cross-validated" for v in values})
        notes.append(f"± and AUC: the head's error in its own cohort, {' or '.join(how)}.")
    if novelty:
        notes.append("novelty p: small for a scan unlike those of the head's cohort.")
    if any(v.get("corrected") is not None for v in values):
        notes.append("corrected: without the head's regression to the mean.")
    if weak:
        notes.append("* no better than its baseline: a demonstration, not information.")
    if learnt:
        notes.append(
            "† the head has learnt from this scan: no prediction; see its out-of-fold table."
        )
    notes += words.of_sites(results)
    table.caption = Text("\n".join([*notes, NOTICE]))
    return table


def _cell(value: Mapping[str, Any]) -> Text:
    large, unit = words.answer(value)
    judged = words.against_baseline(value)
    star = "*" if judged is not None and not judged[0] else ""
    star += "†" if value.get("learnt_from") else ""
    cell = Text(f"{large}{star}", "bold")
    cell.append(f" {unit}", "not bold")
    limits = words.interval(value) or words.margin(value)
    if limits is not None:
        cell.append(f"\n{limits}", "dim not bold")
    if value.get("corrected") is not None:
        cell.append(f"\ncorrected {value['corrected']:.1f}", "dim not bold")
    return cell


def _novelty(result: Mapping[str, Any]) -> float | None:
    p = result.get("novelty_p")
    return None if p is None else float(p)
