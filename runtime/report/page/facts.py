"""Checks, robustness, timings and provenance."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from runtime.report import words

_VERDICT = {"ok": "✓ ok", "warn": "! warning", "refuse": "✕ refuse"}
STAGES = {
    "read": "Read the file",
    "strip": "Find the brain",
    "bias": "Correct the bias field",
    "register": "Register to the template",
    "resample": "Resample once",
    "check": "Measure for the checks",
    "network": "Run the network",
}
"""What is done to a scan, in its order, in words."""
_FACTS = {
    "head": "Head",
    "shape": "Voxels (RAS order)",
    "spacing": "Voxel size, mm",
    "orientation": "Stored orientation",
    "frame": "Coordinates from",
    "dtype": "Stored as",
}


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


def robustness(sentences: Iterable[str]) -> str:
    """How far the bundle's outputs move with the scanner; empty of a bundle not measured."""
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
    if not items:
        return ""
    return f"<section><h2>How far the answers move</h2><ul>{items}</ul></section>"


def timings(seconds: Mapping[str, float]) -> str:
    """Seconds per stage as bars."""
    stages = {name: s for name, s in seconds.items() if name != "total"}
    longest = max(stages.values(), default=0.0) or 1.0
    rows = [
        f'<tr><th scope="row">{escape(STAGES.get(name, name))}</th><td class="bar">'
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
