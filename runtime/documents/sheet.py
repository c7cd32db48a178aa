"""A result on sheets that any viewer shows: the notice, the answers, what is to be looked at.

No name, number or date of the patient is drawn.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import cast

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from fmtool import NOTICE, __version__
from runtime.report import words
from runtime.report.pictures.picture import brain_picture
from runtime.result import Result

_INK, _DIM, _WARN, _PAPER = (235, 235, 235), (170, 170, 170), (255, 190, 90), (16, 16, 18)

Line = tuple[str, int, tuple[int, int, int]]
"""Text, its size in pixels, its colour."""


def lines(result: Result, title: str, characters: int) -> list[Line]:
    """The text of a result.

    Args:
        title: below the notice.
        characters: of a line of the smallest size.
    """

    def wrapped(sentence: str, colour: tuple[int, int, int], size: int = 20) -> list[Line]:
        fit = characters * 20 // size
        return [(line, size, colour) for line in textwrap.wrap(sentence, fit)]

    data, bundle = result.to_dict(), result.bundle
    found = [*wrapped(NOTICE, _WARN, 30), *wrapped(title, _DIM, 22), ("", 12, _DIM)]
    for name, value in data["values"].items():
        large, small = words.answer(value)
        found += wrapped(f"{name.replace('_', ' ')}: {large} {small}", _INK, 34)
        for sentence in (words.interval(value), words.evidence(value), words.baseline(value)):
            found += wrapped(sentence or "", _DIM)
        for sentence in cast("list[str]", value["warnings"]):
            found += wrapped(sentence, _WARN)
        found.append(("", 12, _DIM))
    if bundle["demonstration"]:
        found += wrapped("Demonstration bundle: its answers are not to be relied on.", _WARN)
    for sentence in [*bundle["limits"], *result.warnings]:
        found += wrapped(sentence, _WARN)
    made = f"fmtool {__version__}; bundle {bundle['name']}, {bundle['digest']}; {result.engine}"
    return found + wrapped(made, _DIM)


def step(line: Line) -> int:
    """The height of a line in pixels."""
    return round(line[1] * 1.35)


def drawn(said: Sequence[Line], size: tuple[int, int], margin: int) -> tuple[Image.Image, int]:
    """Lines on a sheet of (width, height) pixels, and where the next one would be."""
    sheet = Image.new("RGB", size, _PAPER)
    draw, top = ImageDraw.Draw(sheet), margin
    for line in said:
        draw.text((margin, top), line[0], line[2], ImageFont.load_default(line[1]))
        top += step(line)
    return sheet, top


def brain(result: Result, width: int) -> Image.Image:
    """Three planes with the brain mask's outline, no wider than so many pixels."""
    prepared = result.prepared
    spacing = np.linalg.norm(prepared.affine[:3, :3], axis=0)
    image = brain_picture(prepared.corrected, prepared.brain, spacing.tolist())
    if image.width > width:
        image = image.resize((width, max(1, image.height * width // image.width)))
    return image
