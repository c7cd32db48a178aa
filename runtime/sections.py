"""The report's parts as HTML; every text that comes from a scan or a bundle is escaped here."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from runtime import words

_VERDICT = {"ok": "✓ ok", "warn": "! warning", "refuse": "✕ refuse"}
_STAGES = {
    "read": "Read the file",
    "strip": "Find the brain",
    "bias": "Correct the bias field",
    "register": "Register to the template",
    "resample": "Resample once",
    "network": "Run the network",
}
_FACTS = {
    "head": "Head",
    "shape": "Voxels (RAS order)",
    "spacing": "Voxel size, mm",
    "orientation": "Stored orientation",
    "frame": "Coordinates from",
    "dtype": "Stored as",
}
_PICTURES = {
    "brain": (
        "Brain mask on the scan",
        "Axial, coronal and sagittal planes of the scan with the outline of the brain mask.",
        "The orange line is the brain mask: it should follow the brain's surface and leave out "
        "skull, eyes and neck.",
    ),
    "registration": (
        "Registration to the template",
        "Axial, coronal and sagittal planes of the registered brain with the template's contours.",
        "The blue lines are the template's outline, white matter and ventricles: the midline and "
        "the ventricles should meet them. Size may differ, because a brain is never scaled.",
    ),
}
_CONVENTION = "Radiological convention: the patient's right (R) is on the left."


def result(task: str, value: Mapping[str, Any]) -> str:
    """One task's answer, large, with what its cohort says about it."""
    large, unit = words.answer(value)
    parts = [
        f'<h2 class="task">{escape(task.replace("_", " ").capitalize())}</h2>',
        f'<p class="value">{escape(large)} <small>{escape(unit)}</small></p>',
    ]
    margin = words.margin(value)
    if margin is not None:
        parts.append(f'<p class="margin">{escape(margin)} <span>in its own cohort</span></p>')
    if value["kind"] == "binary":
        parts.append(_odds(value))
    judged = words.against_baseline(value)
    told = judged and any(
        str(value["evidence"].get("baseline_name")) in w for w in value["warnings"]
    )
    if judged is not None and not told:
        parts.append(_say(judged[1], "good" if judged[0] else "warn"))
    parts += [_say(sentence, "warn") for sentence in value["warnings"]]
    said = [s for s in (words.evidence(value), words.baseline(value)) if s is not None]
    if said:
        parts.append(f'<p class="note soft">{escape(" ".join(said))}</p>')
    return f"<section>{''.join(parts)}</section>"


def banner(sentences: Iterable[str], lead: str, grade: str) -> str:
    """A list of sentences that must not be missed; empty where there are none."""
    items = "".join(f"<li>{escape(s)}</li>" for s in dict.fromkeys(sentences))
    if not items:
        return ""
    return f'<div class="say banner {grade}"><strong>{escape(lead)}</strong><ul>{items}</ul></div>'


def pictures(images: Mapping[str, bytes]) -> str:
    """The pictures, embedded, with alternative texts."""
    figures = []
    for name, data in images.items():
        title, alt, caption = _PICTURES.get(name, (name, name, ""))
        source = f"data:image/png;base64,{base64.b64encode(data).decode('ascii')}"
        figures.append(
            f'<figure><img src="{source}" alt="{escape(alt)}"><figcaption><b>{escape(title)}.</b> '
            f"{escape(caption)} {_CONVENTION}</figcaption></figure>"
        )
    return f"<section><h2>Pictures</h2>{''.join(figures)}</section>" if figures else ""


def checks(found: Iterable[Mapping[str, Any]]) -> str:
    """Every check with its verdict in words, its value and the range expected."""
    items = []
    for check in found:
        low, high = check["range"]
        unit = str(check["unit"])
        items.append(
            f'<li><p><span class="badge {escape(check["verdict"])}">'
            f"{escape(_VERDICT[check['verdict']])}</span></p>"
            f"<p><b>{escape(check['name'])}</b><br>{escape(check['sentence'])}</p>"
            f'<div class="measure">{escape(words.number(check["value"], unit))}'
            f"{_gauge(check['value'], low, high)}"
            f'<span class="soft">expected {words.number(low)} to {words.number(high)}</span>'
            "</div></li>"
        )
    return f'<section><h2>Checks</h2><ul class="checks">{"".join(items)}</ul></section>'


def timings(seconds: Mapping[str, float]) -> str:
    """Seconds per stage as bars."""
    stages = {name: s for name, s in seconds.items() if name != "total"}
    longest = max(stages.values(), default=0.0) or 1.0
    rows = [
        f'<tr><th scope="row">{escape(_STAGES.get(name, name))}</th><td class="bar">'
        f'<div style="width:{100 * s / longest:.1f}%"></div></td><td>{s:.2f} s</td></tr>'
        for name, s in stages.items()
    ]
    total = seconds.get("total", sum(stages.values()))
    rows.append(f'<tr class="total"><th scope="row">Total</th><td></td><td>{total:.2f} s</td></tr>')
    return f'<section><h2>Time</h2><table class="times">{"".join(rows)}</table></section>'


def provenance(data: Mapping[str, Any]) -> str:
    """What made the result, from which input."""
    bundle = data["bundle"]
    kind = " (demonstration)" if bundle["demonstration"] else ""
    entries = [
        ("Scan", escape(data["scan"])),
        *(
            (label, _fact(data["facts"][key]))
            for key, label in _FACTS.items()
            if key in data["facts"]
        ),
        ("Bundle", escape(f"{bundle['name']}{kind}")),
        ("Bundle digest", f"<code>{escape(bundle['digest'])}</code>"),
        ("Engine", escape(data["engine"])),
        ("fmtool", escape(str(data["version"]))),
    ]
    rows = "".join(f"<dt>{label}</dt><dd>{text}</dd>" for label, text in entries)
    return f"<section><h2>Provenance</h2><dl>{rows}</dl></section>"


def _say(sentence: str, grade: str) -> str:
    return f'<p class="say {grade}">{escape(sentence)}</p>'


def _odds(value: Mapping[str, Any]) -> str:
    first, second = (escape(str(c)) for c in value["classes"])
    chance = min(max(words.chance(value), 0.0), 1.0)
    return (
        f'<div class="odds" role="img" aria-label="probability of {second}: {chance:.2f}">'
        f'<div><i style="left:{100 * chance:.1f}%"></i></div>'
        f"<p><span>{first} {1 - chance:.2f}</span><span>{second} {chance:.2f}</span></p></div>"
    )


def _gauge(value: Any, low: float, high: float) -> str:
    """Where a value lies: the range expected fills the middle half of the track."""
    if not isinstance(value, int | float) or not math.isfinite(value) or not high > low:
        return ""
    place = 25 + 50 * (value - low) / (high - low)
    return (
        '<div class="gauge" aria-hidden="true"><u style="left:25%;right:25%"></u>'
        f'<i style="left:{min(max(place, 1), 99):.1f}%"></i></div>'
    )


def _fact(value: Any) -> str:
    return escape(" × ".join(f"{v:g}" for v in value) if isinstance(value, list) else str(value))
