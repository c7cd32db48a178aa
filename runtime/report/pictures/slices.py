"""Slices to browse, every 2.4 mm of a head in the model's space, in sheets of pictures.

A sheet holds the slices of one direction row by row, so that a page can show any of them by moving
one picture behind a window. Lines and colours are sheets of their own, transparent elsewhere.
"""

from __future__ import annotations

import io
import math
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from fmtool import space
from runtime.attribution import Attribution
from runtime.grid import bounds
from runtime.preprocess.pipeline import Prepared
from runtime.preprocess.template import Template
from runtime.report.pictures import heat, panel, picture

PIXEL = 1.2
"""mm, of a head's pixel: what a page has room and a processor time for."""

STEP = 2 * PIXEL
"""mm from slice to slice."""

MAP_PIXEL = 3.0
"""mm, of a map's pixel; its positions lie 16 mm apart, of an encoder cut early 2, 4 or 8."""

COLUMNS = 8
_MARGIN = 6
_QUALITY = 70
_LEVELS = 24
# Of a map's colours, each way; browsers smooth between them.

Sheets = dict[str, bytes]
"""By direction: a picture file."""


def layout(template: Template) -> dict[str, Any]:
    """Which slices there are, by direction: the same for every scan of a bundle.

    Returns:
        for "axial", "coronal" and "sagittal": "mm" (MNI, of each slice), "columns", "rows" and
        the "width" and "height" of a slice in mm; and the MNI mm of its "left" and "top" edges.
    """
    found = {}
    corner = space.crop_affine() @ [0.0, 0.0, 0.0, 1.0]
    shape = space.CROP_SHAPE[::-1]
    for name, axis in panel.AXES.items():
        across, up = panel.others(axis)
        places = _places(template)[axis]
        found[name] = {
            "axis": "xyz"[axis],
            "mm": [round(float(corner[axis] + place), 1) for place in places],
            "columns": COLUMNS,
            "rows": math.ceil(len(places) / COLUMNS),
            "width": shape[across],
            "height": shape[up],
            # A slice is shown as `panel.plane` does: both of its axes run backwards.
            "left": float(corner[across]) + shape[across] - 0.5,
            "top": float(corner[up]) + shape[up] - 0.5,
        }
    return found


def head(prepared: Prepared, template: Template) -> Sheets:
    """The whole head, as it lies on the template: JPEG."""
    low, high = panel.window(prepared.corrected, prepared.brain)
    # Whole numbers interpolate three times as fast as floats, and a screen shows no more.
    shown = np.clip((prepared.corrected - low) * (255.0 / (high - low)), 0, 255).astype(np.uint8)
    mapping = np.linalg.inv(prepared.affine) @ prepared.transform @ _grid(PIXEL)
    grey = ndimage.affine_transform(
        shown,
        mapping[:3, :3],
        mapping[:3, 3],
        output_shape=_shape(PIXEL),
        order=1,
        mode="constant",
        prefilter=False,
    )
    return {
        name: _file(Image.fromarray(sheet), "JPEG", quality=_QUALITY)
        for name, sheet in _sheets(grey, template, PIXEL).items()
    }


def outline(prepared: Prepared, template: Template) -> Sheets:
    """The brain mask's outline: PNG."""
    return _lines(prepared.mask, template, picture.MASK_COLOUR)


@lru_cache(maxsize=2)
def contours(template: Template) -> Sheets:
    """The template's outline and white matter: PNG, the same for every scan."""
    brain = template.crop > 0
    smooth = ndimage.uniform_filter(template.crop, 3)
    return _lines(brain, template, picture.TEMPLATE_COLOUR, smooth >= picture.white(template.crop))


def colours(
    found: Attribution, prepared: Prepared, template: Template, limit: float
) -> dict[str, bytes]:
    """A map's colours: PNG.

    Args:
        found: one task's map.
        prepared: the scan it was made from.
        template: see `layout`.
        limit: the value with the full colour.
    """
    values = found.sample(_grid(MAP_PIXEL), _shape(MAP_PIXEL))
    inside = _nearest(prepared.mask, MAP_PIXEL)
    level = np.rint(np.clip(values / limit, -1, 1) * _LEVELS).astype(int) * inside + _LEVELS
    palette: list[int] = []
    alpha: list[int] = []
    for step in range(-_LEVELS, _LEVELS + 1):
        palette += heat.RAISES if step > 0 else heat.LOWERS
        alpha.append(round(255 * heat.STRONGEST * abs(step) / _LEVELS))
    sheets = {}
    for name, sheet in _sheets(level.astype(np.uint8), template, MAP_PIXEL, _LEVELS).items():
        image = Image.fromarray(sheet).convert("P")
        image.putpalette(palette)
        sheets[name] = _file(image, "PNG", transparency=bytes(alpha))
    return sheets


def _lines(
    mask: NDArray[np.bool_],
    template: Template,
    colour: panel.Colour,
    second: NDArray[np.bool_] | None = None,
) -> Sheets:
    sheets = {}
    filled = [mask] if second is None else [mask, second]
    cut = [_sheets(_nearest(each, PIXEL).view(np.uint8), template, PIXEL) for each in filled]
    for name in panel.AXES:
        edge = np.zeros(cut[0][name].shape, dtype=bool)
        for each in cut:
            shape = each[name].astype(bool)
            edge |= shape & ~ndimage.binary_erosion(shape)
        image = Image.fromarray(edge.astype(np.uint8)).convert("P")
        image.putpalette([0, 0, 0, *colour])
        sheets[name] = _file(image, "PNG", transparency=0, bits=1)
    return sheets


def _sheets(
    volume: NDArray[np.uint8], template: Template, pixel: float, empty: int = 0
) -> dict[str, NDArray[np.uint8]]:
    """The slices of a volume with the crop's axes (z, y, x) and box, `pixel` mm to a voxel."""
    turned, found = volume.transpose(2, 1, 0), {}
    for name, axis in panel.AXES.items():
        places = _places(template)[axis]
        slices = [panel.plane(turned, axis, int((place + 0.5) / pixel)) for place in places]
        height, width = slices[0].shape
        rows = math.ceil(len(slices) / COLUMNS)
        sheet = np.full((rows * height, COLUMNS * width), empty, dtype=np.uint8)
        for number, one in enumerate(slices):
            top, left = (number // COLUMNS) * height, (number % COLUMNS) * width
            sheet[top : top + height, left : left + width] = one
        found[name] = sheet
    return found


@lru_cache(maxsize=2)
def _places(template: Template) -> tuple[NDArray[np.float64], ...]:
    """Where the slices along (x, y, z) lie, in voxels of the crop: the template's brain and a
    little around it."""
    box = bounds(template.crop.transpose(2, 1, 0) > 0, _MARGIN)
    assert box is not None
    return tuple(np.arange(part.start, part.stop - 1, STEP) for part in box)


def _shape(pixel: float) -> tuple[int, ...]:
    return tuple(round(n / pixel) for n in space.CROP_SHAPE)


def _grid(pixel: float) -> NDArray[np.float64]:
    """4x4, index (z, y, x) on the crop's box at `pixel` mm -> MNI RAS mm."""
    scale = np.diag([pixel, pixel, pixel, 1.0])
    scale[:3, 3] = (pixel - 1) / 2
    return np.asarray(space.crop_affine() @ scale)


def _nearest(mask: NDArray[np.bool_], pixel: float) -> NDArray[np.bool_]:
    """A crop at `pixel` mm to a voxel."""
    index = [((np.arange(n) + 0.5) * pixel).astype(int) for n in _shape(pixel)]
    return np.asarray(mask[np.ix_(*index)])


def _file(image: Image.Image, kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()
