"""The index of a folder of reports: every scan in a row, sorted and filtered where scripts run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fmtool.errors import shown
from runtime.report import words
from runtime.report.page.answers import title
from runtime.report.page.document import document
from runtime.report.page.script import INDEX

_VERDICTS = {
    "ok": "✓ ok",
    "warn": "! warning",
    "refuse": "✕ refused, forced",
    "failed": "✕ failed",
}
_WORST = list(_VERDICTS)


def html(pages: Mapping[str, Mapping[str, Any]], failures: Sequence[Mapping[str, Any]] = ()) -> str:
    """The index.

    Args:
        pages: `Result.to_dict()` by the name of its page, without ".html".
        failures: `Failure.to_dict()` of scans without a page.
    """
    tasks = list(dict.fromkeys(name for r in pages.values() for name in r["values"]))
    novelty = any(result.get("novelty_p") is not None for result in pages.values())
    columns = ["Scan", *(title(task) for task in tasks)]
    columns += (["Novelty p"] if novelty else []) + ["Checks", "To be looked at", "Seconds"]
    rows = [_row(name, result, tasks, novelty, columns) for name, result in pages.items()]
    rows += [_failed(failure, columns) for failure in failures]
    heads = "".join(
        f'<th scope="col"><button type="button">{escape(column)}</button></th>'
        for column in columns
    )
    parts = [
        f"<header><p>fmtool reports</p><h1>{len(rows)} scans</h1></header>",
        f"<section>{_tools(columns)}"
        f'<table class="list"><thead><tr>{heads}</tr></thead><tbody>{"".join(rows)}</tbody></table>'
        "</section>",
        f"<footer>{_notes(pages)}</footer>",
    ]
    return document("Reports", parts, INDEX)


def _tools(columns: Sequence[str]) -> str:
    verdicts = "".join(
        f'<option value="{name}">{escape(said)}</option>' for name, said in _VERDICTS.items()
    )
    orders = "".join(
        f'<option value="{i}{way}">{escape(column)}, {said}</option>'
        for i, column in enumerate(columns)
        for way, said in (("a", "rising"), ("d", "falling"))
    )
    return (
        '<div class="tools" hidden><label>Find<input type="search" id="find"></label>'
        f'<label>Checks<select id="verdict"><option value="">any</option>{verdicts}</select>'
        '</label><label>Order<select id="order"><option value="">as written</option>'
        f'{orders}</select></label><p id="count" role="status"></p></div>'
    )


def _row(
    name: str,
    result: Mapping[str, Any],
    tasks: Sequence[str],
    novelty: bool,
    columns: Sequence[str],
) -> str:
    file = Path(str(result["scan"])).name
    beside = f"<small>{escape(file)}</small>" if not file.startswith(name) else ""
    link = f'<a href="{escape(quote(f"{name}.html"))}">{escape(name)}</a>{beside}'
    cells = [(name, link)]
    for task in tasks:
        value = result["values"].get(task)
        cells.append(_value(value) if value else ("", "–"))
    if novelty:
        p = result.get("novelty_p")
        cells.append(("", "–") if p is None else (f"{p}", f"{p:.2g}"))
    worst = words.worst(result)
    cells.append((str(_WORST.index(worst)), _badge(worst)))
    said = list(dict.fromkeys(result["warnings"]))
    items = "".join(f"<small>{escape(sentence)}</small>" for sentence in said)
    cells.append((str(len(said)), f"<span>{len(said)}{items}</span>" if said else "0"))
    seconds = result["timings"].get("total")
    cells.append(("", "–") if seconds is None else (f"{seconds}", f"{seconds:.1f}"))
    return _cells(cells, columns, worst)


def _failed(failure: Mapping[str, Any], columns: Sequence[str]) -> str:
    name = Path(str(failure["scan"])).name
    cells = [(name, escape(name)), *[("", "–")] * (len(columns) - 4)]
    said = str(failure["error"]).replace(shown(str(failure["scan"])), name)  # no more than its name
    reason = f"<span><small>{escape(said)}</small></span>"
    cells += [(str(_WORST.index("failed")), _badge("failed")), ("", reason), ("", "–")]
    return _cells(cells, columns, "failed")


def _value(value: Mapping[str, Any]) -> tuple[str, str]:
    large, unit = words.answer(value)
    limits = words.interval(value) or words.margin(value)
    judged = words.against_baseline(value)
    star = "*" if judged is not None and not judged[0] else ""
    small = f"<small>{escape(limits)}</small>" if limits else ""
    number = words.chance(value) if value["kind"] == "binary" else value["value"]
    if value["kind"] == "multiclass":  # by class, and in it the surest last
        number = value["classes"].index(value["class"]) + value["probabilities"][value["class"]]
    elif value["kind"] == "ordinal":
        number = value["score"]
    return f"{number}", f"<span>{escape(large)}{star} {escape(unit)}{small}</span>"


def _badge(verdict: str) -> str:
    grade = "refuse" if verdict == "failed" else verdict
    return f'<span class="badge {grade}">{_VERDICTS[verdict]}</span>'


def _cells(cells: Sequence[tuple[str, str]], columns: Sequence[str], verdict: str) -> str:
    drawn = "".join(
        f'<td data-label="{escape(column)}" data-key="{escape(key)}">{text}</td>'
        for column, (key, text) in zip(columns, cells, strict=True)
    )
    return f'<tr data-verdict="{verdict}">{drawn}</tr>'


def _notes(pages: Mapping[str, Mapping[str, Any]]) -> str:
    values = [value for result in pages.values() for value in result["values"].values()]
    judged = [words.against_baseline(value) for value in values]
    weak = any(found is not None and not found[0] for found in judged)
    bundles = {f"{r['bundle']['name']} ({r['bundle']['digest'][:12]})" for r in pages.values()}
    notes = [f"Bundle: {escape(', '.join(sorted(bundles)))}."] if bundles else []
    if weak:
        notes.append("* no better than its baseline: a demonstration, not information.")
    notes += [escape(sentence) for sentence in words.of_sites(pages.values())]
    return " ".join(notes)
