"""Where an answer comes from: its map, what the map says, and what it cannot say."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from runtime.report import words
from runtime.report.page.answers import say, title
from runtime.report.page.figures import planes

_LEAD = (
    "The network looks at a coarse grid of places; each gives an answer of its own, and the result "
    "is exactly their mean. The colours show where this scan's answers differ from those of the "
    "template brain, which says where the number comes from: not what causes it, not what is "
    "wrong with the brain, and nothing finer than the grid, because every place sees far around "
    "itself."
)
_HALF = 0.5


def section(values: Mapping[str, Mapping[str, Any]], files: Mapping[str, bytes]) -> str:
    """Every task's map; empty where there is none.

    Args:
        values: `Result.to_dict()["values"]`.
        files: see `runtime.report.pictures.pictures`.
    """
    figures = [_figure(task, value, files) for task, value in values.items()]
    if not any(figures):
        return ""
    return (
        f'<section class="long"><h2>Why</h2><p class="lead">{_LEAD}</p>'
        f'<div class="pair">{"".join(figures)}</div></section>'
    )


def _figure(task: str, value: Mapping[str, Any], files: Mapping[str, bytes]) -> str:
    if f"maps/{task}.json" not in files:
        return ""
    said = json.loads(files[f"maps/{task}.json"])
    unit = unit_of(value)
    most, least = (_place(said[name], unit) for name in ("highest", "lowest"))
    alt = f"Map of {title(task)}: raised most {most}, lowered most {least}."
    body = planes(f"maps/{task}", files, alt)
    caption = f"{_sum(said, unit)} Inside the brain it is raised most {most} (+), and lowered most "
    caption += f"{least} (−). "
    caption += "Three planes through the larger of the two; the patient's right is on the left."
    notes = []
    judged = words.against_baseline(value)
    if judged is not None and not judged[0]:
        notes.append("This head is no better than its baseline: its map means nothing.")
    if said["inside"] < _HALF:
        notes.append(
            f"Only {100 * said['inside']:.0f} % of the differences lie at places inside the brain; "
            "the others lie around it, where the network sees the brain from afar. The colours "
            "tell little of this answer."
        )
    return (
        f"<figure><h3>{escape(title(task))}</h3>{''.join(say(n, 'warn') for n in notes)}{body}"
        f"{ramp(said['limit'], unit, said['reference'] is not None)}"
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def ramp(limit: float, unit: str, from_template: bool) -> str:
    """The colours and what they stand for."""
    base = "the template's" if from_template else "the map's mean"
    end = words.number(limit, unit)
    return (
        f'<div class="ramp" role="img" aria-label="blue: {escape(end)} below {base}, orange: '
        f'{escape(end)} above"><div></div><p><span>− {escape(end)}</span><span>as {base}</span>'
        f"<span>+ {escape(end)}</span></p></div>"
    )


def unit_of(value: Mapping[str, Any]) -> str:
    """The unit of a map: a binary or ordinal one adds up as log-odds, of several as a logit."""
    if value["kind"] == "ordinal":
        return "log-odds of one class more"
    if value["kind"] == "multiclass":
        return f"logit of {value['class']}"
    if value["kind"] == "binary":
        return f"log-odds of {value['classes'][1]}"
    return str(value["unit"])


def _sum(said: Mapping[str, Any], unit: str) -> str:
    count = " × ".join(str(n) for n in said["positions"])
    here = f"The {count} answers have the mean {_signed(said['output'])} {unit}"
    if said["reference"] is None:
        return f"{here}; the colours are relative to it."
    return f"{here}, those of the template {_signed(said['reference'])}."


def _signed(number: float, digits: int = 2) -> str:
    return f"{number:.{digits}f}".replace("-", "−")


def _place(found: Mapping[str, Any], unit: str) -> str:
    """ "on the left, at the front, high (+0.30 years; MNI -15, 31, 28 mm)"."""
    mm: Sequence[float] = found["mm"]
    x = "on the right" if mm[0] > 12 else "on the left" if mm[0] < -12 else "in the middle"
    y = "at the front" if mm[1] > 15 else "at the back" if mm[1] < -50 else "half-way back"
    z = "high" if mm[2] > 35 else "low" if mm[2] < -15 else "half-way up"
    sign = "−" if found["value"] < 0 else "+"
    size = words.number(abs(found["value"]), unit)
    where = ", ".join(_signed(v, 0) for v in mm)
    return f"{x}, {y}, {z} ({sign}{size}; MNI {where} mm)"
