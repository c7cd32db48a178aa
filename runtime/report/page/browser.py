"""Browsing slices: three linked planes, by keyboard or pointer, under a choice of lines or colours.

Hidden until the page's script shows it; what it shows, the other pictures show at one place.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from typing import Any

from runtime.report.page.answers import title
from runtime.report.page.figures import source
from runtime.report.page.why import ramp, unit_of
from runtime.report.pictures.panel import AXES

_LETTERS = {"axial": ("R", "L"), "coronal": ("R", "L"), "sagittal": ("A", "P")}
_OTHERS = {"axial": "xy", "coronal": "xz", "sagittal": "yz"}
_LAYERS = {"mask": ("Brain mask", "mask.png"), "template": ("Template", "template.png")}


def section(values: Mapping[str, Mapping[str, Any]], files: Mapping[str, bytes]) -> str:
    """The viewer; empty where no slices were drawn.

    Args:
        values: `Result.to_dict()["values"]`.
        files: see `runtime.report.pictures.pictures`.
    """
    if "slices.json" not in files:
        return ""
    layout = json.loads(files["slices.json"])
    mapped = {task: value for task, value in values.items() if f"maps/{task}.json" in files}
    layers = {name: (label, f"slices/PLANE/{file}") for name, (label, file) in _LAYERS.items()}
    for task in mapped:
        layers[f"map {task}"] = (f"{title(task)} map", f"maps/{task}/slices/PLANE.png")
    first = next(iter(layers))
    choices = "".join(
        f'<label><input type="radio" name="layer" value="{escape(name)}"'
        f"{' checked' if name == first else ''}> {escape(label)}</label>"
        for name, label in [*((n, label) for n, (label, _) in layers.items()), ("", "Nothing")]
    )
    keys = "".join(
        f'<div data-layer="{escape(f"map {task}")}" hidden>{_ramp(value, task, files)}</div>'
        for task, value in mapped.items()
    )
    views = "".join(_view(plane, layout[plane], layers, first, files) for plane in AXES)
    return (
        '<section class="viewer" id="slices" hidden><h2>Slices</h2><p class="lead">The head as it '
        "lies on the template. Tab to a plane's slider, then the arrow keys, Page Up and Page Down "
        "move through it; a click on a plane brings the others there.</p>"
        f"<fieldset><legend>Show over it</legend>{choices}</fieldset>"
        f'<div class="planes">{views}</div>{keys}</section>'
    )


def _view(
    plane: str,
    facts: Mapping[str, Any],
    layers: Mapping[str, tuple[str, str]],
    first: str,
    files: Mapping[str, bytes],
) -> str:
    size = f"background-size:{100 * facts['columns']}% {100 * facts['rows']}%"
    head = source(f"slices/{plane}/head.jpg", files)
    drawn = [f'<i style="{size};background-image:url({head})"></i>']
    for name, (_, pattern) in layers.items():
        image = source(pattern.replace("PLANE", plane), files)
        hidden = "" if name == first else " hidden"
        drawn.append(
            f'<i data-layer="{escape(name)}" style="{size};background-image:url({image})"'
            f"{hidden}></i>"
        )
    left, right = _LETTERS[plane]
    data = escape(json.dumps({**facts, "others": list(_OTHERS[plane])}))
    middle = len(facts["mm"]) // 2
    return (
        f'<div><div class="view" style="aspect-ratio:{facts["width"]}/{facts["height"]}" '
        f'data-facts="{data}">{"".join(drawn)}<u class="v"></u><u class="h"></u>'
        f"<b>{left}</b><b>{right}</b></div>"
        f'<label class="control">{plane.capitalize()} <output></output>'
        f'<input type="range" min="0" max="{len(facts["mm"]) - 1}" value="{middle}"></label></div>'
    )


def _ramp(value: Mapping[str, Any], task: str, files: Mapping[str, bytes]) -> str:
    said = json.loads(files[f"maps/{task}.json"])
    return ramp(said["limit"], unit_of(value), said["reference"] is not None)
