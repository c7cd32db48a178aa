"""The answers: one card per task, and what must be read before them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from runtime.report import words
from runtime.report.page import scale
from runtime.trust.novelty import WARN

_GRADES = {"ok": "✓ checks passed", "warn": "! a check warns", "refuse": "✕ a check refuses"}


def head(result: Mapping[str, Any]) -> str:
    """The scan's name, and in a line how its checks, its likeness and its time were."""
    worst = words.worst(result)
    chips = [f'<li class="chip {worst}">{escape(_GRADES[worst])}</li>']
    p = result.get("novelty_p")
    if p is not None:
        grade, sign = (" warn", "! ") if p <= WARN else ("", "")
        chips.append(f'<li class="chip{grade}">{sign}likeness to its cohort: p = {p:.2g}</li>')
    total = result["timings"].get("total")
    if total is not None:
        chips.append(f'<li class="chip">{total:.1f} s</li>')
    if result["bundle"]["demonstration"]:
        chips.append('<li class="chip warn">! demonstration bundle</li>')
    return (
        f"<header><p>fmtool report</p><h1>{escape(str(result['scan']))}</h1>"
        f'<ul class="chips">{"".join(chips)}</ul></header>'
    )


def card(task: str, value: Mapping[str, Any]) -> str:
    """One task's answer, large, with its limits and what its cohort says about it."""
    large, unit = words.answer(value)
    parts = [
        f'<h2 class="task">{escape(title(task))}</h2>',
        f'<p class="value">{escape(large)} <small>{escape(unit)}</small></p>',
    ]
    limits, margin = words.interval(value), words.margin(value)
    if limits is not None:
        what = "holds the truth in that share of scans like its cohort's"
        parts.append(f'<p class="margin">{escape(limits)} <span>{what}</span></p>')
    elif margin is not None:
        parts.append(f'<p class="margin">{escape(margin)} <span>in its own cohort</span></p>')
    parts.append(scale.picture(value))
    if value.get("corrected") is not None:
        corrected = words.number(value["corrected"], str(value["unit"]))
        parts.append(
            f'<p class="note">{escape(corrected)} without the head\'s regression to the mean of '
            "its cohort.</p>"
        )
    judged = words.against_baseline(value)
    told = judged and any(
        str(value["evidence"].get("baseline_name")) in w for w in value["warnings"]
    )
    if judged is not None and not told:
        parts.append(say(judged[1], "ok" if judged[0] else "warn"))
    parts += [say(sentence, "warn") for sentence in value["warnings"]]
    sentences = words.prevalence(value), words.evidence(value), words.baseline(value)
    said = [s for s in sentences if s is not None]
    if said:
        parts.append(f'<p class="note soft">{escape(" ".join(said))}</p>')
    return f"<section>{''.join(parts)}</section>"


def title(task: str) -> str:
    """A task's name as a heading."""
    return task.replace("_", " ").capitalize()


def say(sentence: str, grade: str) -> str:
    """A sentence that stands out: "ok", "warn" or "bad"; its colour repeats what it says."""
    return f'<p class="say {grade}">{escape(sentence)}</p>'


def banner(sentences: Iterable[str], lead: str, grade: str) -> str:
    """A list of sentences that must not be missed; empty where there are none."""
    items = "".join(f"<li>{escape(s)}</li>" for s in dict.fromkeys(sentences))
    if not items:
        return ""
    return f'<div class="say banner {grade}"><strong>{escape(lead)}</strong><ul>{items}</ul></div>'
