"""A result on a scale, with its interval and its cohort: drawn as SVG, and in words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

from runtime.report import words

_WIDTH, _HEIGHT, _SIDE = 440.0, 74.0, 16.0
_NICE = (1.0, 2.0, 2.5, 5.0, 10.0)
_TICKS = 6


class _Span(NamedTuple):
    """A stretch of the scale: its class in the style sheet, its ends, and what it is."""

    kind: str
    low: float
    high: float
    words: str


def picture(value: Mapping[str, Any]) -> str:
    """The answer of any kind of task; empty where it is no number.

    Args:
        value: one of `Result.to_dict()["values"]`.
    """
    kinds = {"regression": regression, "binary": binary}
    return kinds.get(value["kind"], several)(value)


def regression(value: Mapping[str, Any]) -> str:
    """The value, its interval (or else its head's error), and its cohort's range and quarters.

    Args:
        value: one of `Result.to_dict()["values"]`.
    """
    at, spans = float(value["value"]), _spans(value)
    ends = [at, *(end for span in spans for end in (span.low, span.high))]
    if not all(math.isfinite(end) for end in ends):
        return ""
    room = 0.06 * (max(ends) - min(ends)) or max(abs(at) * 0.1, 1.0)
    low, high = min(ends) - room, max(ends) + room

    def x(place: float) -> float:
        return _SIDE + (_WIDTH - 2 * _SIDE) * (place - low) / (high - low)

    drawn = [_rect("track", x(low), x(high), 12, 22)]
    keys = [("mark", "this scan")]
    for kind, first, last, said in spans:
        drawn.append(_rect(kind, x(first), x(last), *((12, 22) if kind == "band" else (18, 10))))
        keys.append((kind, said))
    quarters = value["evidence"].get("label_quartiles", ())
    drawn += [_rect("halo", x(q) - 1, x(q) + 1, 12, 22) for q in quarters]
    keys += [("", "lines in it: its quarters")] if quarters else []
    drawn += _mark(x(at))
    drawn += [_tick(x(tick), f"{tick:g}") for tick in _ticks(low, high)]
    told = [f"this scan {words.number(at, str(value['unit']))}"]
    told += [f"{span.words}: {span.low:.1f} to {span.high:.1f}" for span in spans]
    return _svg(", ".join(told), drawn) + _key(keys)


def binary(value: Mapping[str, Any]) -> str:
    """The probability between the two classes, as its distance from even."""
    first, second = (str(c) for c in value["classes"])
    chance = min(max(words.chance(value), 0.0), 1.0)
    if not math.isfinite(chance):
        return ""
    at, middle = _SIDE + (_WIDTH - 2 * _SIDE) * chance, _WIDTH / 2
    drawn = [_rect("track", _SIDE, _WIDTH - _SIDE, 12, 22)]
    drawn += [_rect("bar", min(at, middle), max(at, middle), 18, 10), *_mark(at)]
    drawn += [
        _tick(_SIDE, f"{first} {1 - chance:.2f}", "start"),
        _tick(middle, "even"),
        _tick(_WIDTH - _SIDE, f"{second} {chance:.2f}", "end"),
    ]
    return _svg(f"probability of {second}: {chance:.2f}", drawn)


def several(value: Mapping[str, Any]) -> str:
    """A bar a class, as long as it is probable, its name and number above."""
    chances = {str(name): float(p) for name, p in value["probabilities"].items()}
    if not all(math.isfinite(p) for p in chances.values()):
        return ""
    drawn, height = [], 28.0
    for number, (name, p) in enumerate(chances.items()):
        top = number * height
        right = _SIDE + (_WIDTH - 2 * _SIDE) * min(max(p, 0.0), 1.0)
        drawn.append(f'<text x="{_SIDE:g}" y="{top + 11:g}">{escape(f"{name} {p:.2f}")}</text>')
        drawn.append(_rect("track", _SIDE, _WIDTH - _SIDE, top + 15, 8))
        drawn.append(_rect("bar", _SIDE, right, top + 15, 8))
    told = ", ".join(f"probability of {name}: {p:.2f}" for name, p in chances.items())
    return _svg(told, drawn, height * len(chances))


def _spans(value: Mapping[str, Any]) -> list[_Span]:
    facts, at, found = value["evidence"], float(value["value"]), []
    if facts.get("label_range"):
        low, high = facts["label_range"]
        found.append(_Span("band", low, high, "its cohort"))
    limits, error = value.get("interval"), facts.get("value")
    if limits:
        said = f"{100 * limits['level']:.0f} % interval"
        found.append(_Span("bar", limits["low"], limits["high"], said))
    elif error is not None:
        said = f"± {facts.get('metric', 'error')} in its cohort"
        found.append(_Span("error", at - error, at + error, said))
    return found


def _svg(told: str, drawn: Sequence[str], height: float = _HEIGHT) -> str:
    return (
        f'<svg class="scale" viewBox="0 0 {_WIDTH:g} {height:g}" role="img" '
        f'aria-label="{escape(told)}">{"".join(drawn)}</svg>'
    )


def _rect(kind: str, left: float, right: float, top: float, height: float) -> str:
    return (
        f'<rect class="{kind}" x="{left:.1f}" y="{top:g}" width="{max(right - left, 0.5):.1f}" '
        f'height="{height:g}" rx="2"/>'
    )


def _mark(x: float) -> list[str]:
    return [_rect("halo", x - 4, x + 4, 4, 38), _rect("mark", x - 2, x + 2, 5, 36)]


def _tick(x: float, text: str, anchor: str = "middle") -> str:
    return (
        f'<line class="tick" x1="{x:.1f}" x2="{x:.1f}" y1="44" y2="50"/>'
        f'<text x="{x:.1f}" y="66" text-anchor="{anchor}">{escape(text)}</text>'
    )


def _key(entries: Sequence[tuple[str, str]]) -> str:
    items = "".join(
        "<li>" + (f'<i class="{kind}"></i>' if kind else "") + f"{escape(text)}</li>"
        for kind, text in entries
    )
    return f'<ul class="key" aria-hidden="true">{items}</ul>'


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers, a few."""
    rough = (high - low) / _TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next((n * power for n in _NICE if n * power >= rough), 10.0 * power)
    first = math.ceil(low / step)
    return [step * i for i in range(first, math.floor(high / step) + 1)]
