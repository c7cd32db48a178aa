"""Pictures inside the page: three planes each, with words for those who do not see them."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from html import escape

from PIL import Image

from runtime.report.page.document import embedded
from runtime.report.pictures.panel import AXES
from runtime.report.pictures.picture import MASK_COLOUR, TEMPLATE_COLOUR

_KINDS = {"jpg": "jpeg", "png": "png"}
_PICTURES = {
    "brain": (
        "Brain mask on the scan",
        "plane of the scan with the outline of the brain mask",
        MASK_COLOUR,
        "The orange line is the brain mask: it should follow the brain's surface and leave out "
        "skull, eyes and neck.",
    ),
    "registration": (
        "Registration to the template",
        "plane of the registered brain with the template's contours",
        TEMPLATE_COLOUR,
        "The blue lines are the template's outline, white matter and ventricles: the midline and "
        "the ventricles should meet them. Size may differ, because a brain is never scaled.",
    ),
}
_LEAD = (
    "Radiological convention: the patient's right (R) is on the left of the picture; A and P are "
    "front and back."
)


def section(files: Mapping[str, bytes]) -> str:
    """The mask and the registration; empty where neither was drawn."""
    figures = []
    for name, (title, alt, colour, caption) in _PICTURES.items():
        body = planes(name, files, alt)
        if body:
            line = f'<span class="swatch" style="background:rgb{colour}"></span>'
            figures.append(
                f"<figure>{body}<figcaption>{line}<b>{escape(title)}.</b> {escape(caption)}"
                "</figcaption></figure>"
            )
    if not figures:
        return ""
    return (
        f'<section class="long"><h2>Preparation</h2><p class="lead">{_LEAD}</p>'
        f"{''.join(figures)}</section>"
    )


def planes(name: str, files: Mapping[str, bytes], alt: str) -> str:
    """Three planes side by side at one scale; empty where there are none."""
    images = []
    for plane in AXES:
        file = f"{name}/{plane}.jpg"
        if file in files:
            words = f"{plane.capitalize()} {alt}" if alt[0].islower() else f"{plane}. {alt}"
            width, height = Image.open(io.BytesIO(files[file])).size
            images.append(
                f'<img style="flex:{width}" width="{width}" height="{height}" '
                f'src="{source(file, files)}" alt="{escape(words)}">'
            )
    return f'<div class="planes">{"".join(images)}</div>' if images else ""


def source(name: str, files: Mapping[str, bytes]) -> str:
    """A picture's address inside the page."""
    kind = _KINDS[name.rsplit(".", 1)[1]]
    return embedded(kind, base64.b64encode(files[name]).decode("ascii"))
