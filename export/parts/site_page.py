"""The page of a calibration: the parent's cohort and the site side by side, before and after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.parts import site as words
from fmtool.task import Task
from runtime.report.page.document import document as page

Array = NDArray[np.float64]

_WIDTH, _HEIGHT, _SIDE = 300.0, 240.0, 36.0
_GREY, _DOT = "#8886", "#c60"


def document(
    task: Task, evidence: Mapping[str, Any], truth: Array, before: Array, after: Array
) -> str:
    """HTML in one file, which loads nothing.

    Args:
        task: the head's.
        evidence: of the child's head, with its "site" and "parent".
        truth: (N,) labels.
        before: (N,) the parent's values, or probabilities of class 1; of several classes those of
            the true one.
        after: (N,) the child's, each without its own subject.
    """
    parent, site = evidence["parent"], evidence["site"]
    panels = [
        ("The parent's cohort", _told(parent), _parent(parent)),
        ("The site, before", evidence["sample"], _panel(task, truth, before)),
        ("The site, after", "each scan answered without its subject", _panel(task, truth, after)),
    ]
    figures = "".join(
        f'<figure style="display:inline-block;margin:0 1em 1em 0"><figcaption>'
        f"<b>{escape(title)}</b><br>{escape(said)}</figcaption>{drawn}</figure>"
        for title, said, drawn in panels
    )
    axes = (
        f"Error (value less truth, {task.unit}) over {task.label}; the line is no error."
        if task.kind == "regression"
        else f"Probability of {task.classes[1]}, by class."
        if task.classes and task.kind == "binary"
        else f"Probability of the true class, by class: {', '.join(task.classes or ())}."
    )
    rows = "".join(
        f"<tr><th>{name}</th><td>{_figure(site['before'], key)}</td>"
        f"<td>{_figure(site['after'], key)}</td></tr>"
        for key, name in (("value", "MAE"), ("mean_error", "mean error"), ("log_loss", "log loss"))
        if key in site["before"]
    )
    rows += (
        f"<tr><th>coverage at 90 %</th><td>{_coverage(task, site['before']['coverage'])}</td>"
        f"<td>{_coverage(task, site['after']['coverage'])}</td></tr>"
    )
    parts = [
        f"<h1>{escape(task.name)}, calibrated at a site</h1>",
        "".join(f"<p>{escape(one)}</p>" for one in words.sentences(task, evidence)),
        f"<section>{figures}<p>{escape(axes)}</p></section>",
        f"<table><tr><th></th><th>before</th><th>after</th></tr>{rows}</table>",
    ]
    return page(f"{task.name}, calibrated", parts)


def _told(parent: Mapping[str, Any]) -> str:
    figure = f"{parent.get('metric', 'figure')} {parent['value']:.3g}" if "value" in parent else ""
    return ", ".join(filter(None, [str(parent.get("sample", "not described")), figure]))


def _figure(side: Mapping[str, Any], key: str) -> str:
    return f"{side[key]:.3g}"


def _coverage(task: Task, found: Any) -> str:
    if found is None:
        return "not known"
    if not isinstance(found, Mapping):
        return f"{100 * found:.0f} %"
    names = task.classes or ("", "")
    return ", ".join(f"{escape(names[int(c)])} {100 * v:.0f} %" for c, v in found.items())


def _parent(parent: Mapping[str, Any]) -> str:
    """The truths that the parent's cohort had, and how far its head was off there."""
    if "residual_sd" not in parent or "label_range" not in parent:
        return _svg([], "no errors are stored")
    (low, high), spread = parent["label_range"], float(parent["residual_sd"])
    ends = low, high, -2.5 * spread, 2.5 * spread
    x, y = _scales(ends)
    band = (
        f'<rect x="{x(low):.1f}" y="{y(spread):.1f}" width="{x(high) - x(low):.1f}" '
        f'height="{y(-spread) - y(spread):.1f}" fill="{_GREY}"/>'
    )
    return _svg([band, *_axes(ends)], f"errors of one deviation, {spread:.3g}")


def _panel(task: Task, truth: Array, values: Array) -> str:
    error = values - truth if task.kind == "regression" else values
    sideways = truth
    if task.classes:  # apart, so that dots do not hide each other
        sideways = truth + np.linspace(-0.2, 0.2, len(truth))
    reach = float(np.abs(error).max()) * 1.1 or 1.0
    bottom = -reach if task.kind == "regression" else 0.0
    ends = float(sideways.min()), float(sideways.max()), bottom, reach
    x, y = _scales(ends)
    dots = [
        f'<circle cx="{x(a):.1f}" cy="{y(b):.1f}" r="3" fill="{_DOT}"/>'
        for a, b in zip(sideways, error, strict=True)
    ]
    return _svg([*_axes(ends), *dots], f"{len(truth)} scans")


def _scales(ends: tuple[float, float, float, float]) -> tuple[Any, Any]:
    left, right, bottom, top = ends

    def x(value: float) -> float:
        return _SIDE + (_WIDTH - 2 * _SIDE) * (value - left) / ((right - left) or 1.0)

    def y(value: float) -> float:
        return _HEIGHT - _SIDE - (_HEIGHT - 2 * _SIDE) * (value - bottom) / ((top - bottom) or 1.0)

    return x, y


def _axes(ends: tuple[float, float, float, float]) -> list[str]:
    left, right, bottom, top = ends
    x, y = _scales(ends)
    zero = min(max(0.0, bottom), top)
    line = (
        f'<line x1="{_SIDE:g}" x2="{_WIDTH - _SIDE:g}" y1="{y(zero):.1f}" y2="{y(zero):.1f}" '
        'stroke="currentColor"/>'
    )
    texts = [(x(left), _HEIGHT - 10, left), (x(right), _HEIGHT - 10, right)]
    texts += [(14.0, y(bottom), bottom), (14.0, y(top), top)]
    return [
        line,
        *(
            f'<text x="{a:.1f}" y="{b:.1f}" font-size="11" text-anchor="middle" '
            f'fill="currentColor">{value:.3g}</text>'
            for a, b, value in texts
        ),
    ]


def _svg(drawn: Sequence[str], told: str) -> str:
    return (
        f'<svg width="{_WIDTH:g}" height="{_HEIGHT:g}" viewBox="0 0 {_WIDTH:g} {_HEIGHT:g}" '
        f'role="img" aria-label="{escape(told)}">{"".join(drawn)}</svg>'
    )
