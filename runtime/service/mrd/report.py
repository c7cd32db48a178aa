"""The report as a series of its own: pages in grey that a console shows, turned as it expects them.

On scanners a series on a grid of its own came out right as one 3D image with unit axes, its pages
turned by 180 degrees, and without the source's mini header, by which it would be mirrored.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from runtime.documents import sheet
from runtime.result import Result
from runtime.service.mrd import meta
from runtime.service.mrd.wire import IMAGE_HEADER, MrdMessage, image_message

_SIDE, _MARGIN, _CHARACTERS = 768, 24, 66
_GREY_TO_12_BITS = 16
_PAGE_MM = 5.0


def pages(result: Result, title: str) -> NDArray[np.uint16]:
    """The report as (pages, rows, columns) of 12 bits, upright."""
    said, sheets = sheet.lines(result, title, _CHARACTERS), list[Image.Image]()
    brain = sheet.brain(result, _SIDE - 2 * _MARGIN)
    while said:
        room, count = _SIDE - 2 * _MARGIN, 0
        while count < len(said) and (room := room - sheet.step(said[count])) >= 0:
            count += 1
        drawn, top = sheet.drawn(said[: max(count, 1)], (_SIDE, _SIDE), _MARGIN)
        sheets.append(drawn)
        said = said[max(count, 1) :]
    if top + brain.height + _MARGIN > _SIDE:
        drawn, top = sheet.drawn([], (_SIDE, _SIDE), _MARGIN)
        sheets.append(drawn)
    drawn.paste(brain, ((_SIDE - brain.width) // 2, top))
    grey = np.stack([np.asarray(one.convert("L"), dtype=np.uint16) for one in sheets])
    return grey * np.uint16(_GREY_TO_12_BITS)


def message(result: Result, like: Any, series: int, said: meta.Meta) -> MrdMessage:
    """The report as one image.

    Args:
        result: what was predicted.
        like: the header of an image that came, whose measurement and table it shares.
        series: its number.
        said: attributes that all derived images have.
    """
    made = pages(result, "fmtool report")
    depth = len(made)
    head = np.zeros((), IMAGE_HEADER)[()]
    for name in ("version", "measurement_uid", "patient_table_position", "acquisition_time_stamp"):
        head[name] = like[name]
    head["image_type"], head["image_index"], head["image_series_index"] = 1, 1, series
    head["field_of_view"] = (_SIDE, _SIDE, _PAGE_MM * depth)
    for name, axis in zip(("read_dir", "phase_dir", "slice_dir"), np.eye(3), strict=True):
        head[name] = axis
    counts = ("slice_count", "NumberOfSlices", "ImagesInAcquisition")
    attributes = {
        **said,
        "Keep_image_geometry": ["0"],
        "ImageRowDir": ["1", "0", "0"],
        "ImageColumnDir": ["0", "1", "0"],
        "ImageSliceNormDir": ["0", "0", "1"],
        "WindowCenter": ["2048"],
        "WindowWidth": ["4096"],
        **{name: [str(depth)] for name in counts},
    }
    turned = np.ascontiguousarray(made[:, ::-1, ::-1])
    return image_message(head, meta.write(attributes), turned[None])
