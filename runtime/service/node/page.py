"""A result as one page that any viewer shows: a Secondary Capture image, the notice burnt in.

No name, number or date of the patient is drawn: the viewer shows the ones of the header, which are
the source's.
"""

from __future__ import annotations

import io
import textwrap
from typing import cast

import numpy as np
from highdicom.sc import SCImage
from PIL import Image, ImageDraw, ImageFont
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from fmtool import NOTICE, __version__
from runtime.report import words
from runtime.report.pictures.picture import brain_png
from runtime.result import Result
from runtime.service.node.sr import UTF8, derived, description, series

_WIDTH, _MARGIN = 1200, 40
_CHARACTERS = 104
_INK, _DIM, _WARN, _PAPER = (235, 235, 235), (170, 170, 170), (255, 190, 90), (16, 16, 18)

Line = tuple[str, int, tuple[int, int, int]]
"""Text, its size in pixels, its colour."""


def page(result: Result, first: Dataset, name: str) -> SCImage:
    """The page of a result.

    Args:
        result: what was predicted.
        first: the header of one object of the series, from `runtime.service.node.source`.
        name: of this answer: the page's UIDs derive from it.
    """
    document = SCImage.from_ref_dataset(
        first,
        pixel_array=np.asarray(picture(result, series(first))),
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        patient_orientation=("L", "P"),
        series_instance_uid=derived("page series", name),
        series_number=9502,
        sop_instance_uid=derived("page", name),
        instance_number=1,
        manufacturer="fmtool",
        transfer_syntax_uid=ExplicitVRLittleEndian,
        manufacturer_model_name=str(result.bundle["name"])[:64],
        software_versions=__version__,
        device_serial_number=str(result.bundle["digest"])[:64],
        specific_character_set=UTF8,
        series_description=description(first),
    )
    document.BodyPartExamined = "HEAD"
    document.BurnedInAnnotation = "NO"  # of the patient's identity, which is what it means
    document.copy_patient_and_study_information(first)
    return document


def picture(result: Result, of: str) -> Image.Image:
    """The page as it is drawn: the notice, the answers, what is to be looked at, the brain mask.

    Args:
        result: what was predicted.
        of: what the series is called.
    """
    brain = _brain(result)
    lines = _lines(result, of)
    height = 2 * _MARGIN + sum(_step(size) for _, size, _ in lines) + brain.height + _MARGIN
    sheet = Image.new("RGB", (_WIDTH, height), _PAPER)
    draw, top = ImageDraw.Draw(sheet), _MARGIN
    for text, size, colour in lines:
        draw.text((_MARGIN, top), text, colour, ImageFont.load_default(size))
        top += _step(size)
    sheet.paste(brain, ((_WIDTH - brain.width) // 2, top + _MARGIN // 2))
    return sheet


def _brain(result: Result) -> Image.Image:
    prepared = result.prepared
    spacing = np.linalg.norm(prepared.affine[:3, :3], axis=0)
    png = brain_png(prepared.corrected, prepared.brain, spacing.tolist())
    image = Image.open(io.BytesIO(png)).convert("RGB")
    inside = _WIDTH - 2 * _MARGIN
    if image.width > inside:
        image = image.resize((inside, max(1, image.height * inside // image.width)))
    return image


def _lines(result: Result, of: str) -> list[Line]:
    data, bundle = result.to_dict(), result.bundle
    lines: list[Line] = [(NOTICE, 30, _WARN), (f"fmtool report of {of}", 22, _DIM), ("", 12, _DIM)]
    for name, value in data["values"].items():
        large, small = words.answer(value)
        lines.append((f"{name.replace('_', ' ')}: {large} {small}", 34, _INK))
        for sentence in (words.evidence(value), words.baseline(value)):
            lines += _wrapped(sentence or "", _DIM)
        for sentence in cast("list[str]", value["warnings"]):
            lines += _wrapped(sentence, _WARN)
        lines.append(("", 12, _DIM))
    if bundle["demonstration"]:
        lines += _wrapped("Demonstration bundle: its answers are not to be relied on.", _WARN)
    for sentence in [*bundle["limits"], *result.warnings]:
        lines += _wrapped(sentence, _WARN)
    made = f"fmtool {__version__}; bundle {bundle['name']}, {bundle['digest']}; {result.engine}"
    return lines + _wrapped(made, _DIM)


def _wrapped(sentence: str, colour: tuple[int, int, int]) -> list[Line]:
    return [(line, 20, colour) for line in textwrap.wrap(sentence, _CHARACTERS)]


def _step(size: int) -> int:
    return round(size * 1.35)
