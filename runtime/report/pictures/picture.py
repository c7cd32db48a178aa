"""Pictures for checking by eye: the brain mask's outline, and the template's contours, as PNG.

The colours are two of Okabe and Ito's, told apart with every common colour vision.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from runtime.grid import bounds
from runtime.report.pictures.panel import Contour, planes, row

MASK_COLOUR = (230, 159, 0)
"""Orange: the brain mask's outline."""

TEMPLATE_COLOUR = (86, 180, 233)
"""Sky blue: the template's outline and white matter."""

_WHITE_MATTER = 0.6  # the quantile of the template's brain above which it is mostly white matter
_ONE_MM = (1.0, 1.0, 1.0)
_ROOM = 8  # voxels

Volume = NDArray[np.float32]
Mask = NDArray[np.bool_]


def brain_picture(volume: Volume, mask: Mask, spacing: Sequence[float] = _ONE_MM) -> Image.Image:
    """Three planes through the brain's centre with the mask's outline, side by side.

    Args:
        volume: intensities, RAS+ axes (x, y, z).
        mask: the brain, same shape.
        spacing: voxel sizes in mm.
    """
    return row(volume, mask, [Contour(mask, 0.5, MASK_COLOUR)], spacing, "brain mask")


def brain_planes(
    volume: Volume, mask: Mask, spacing: Sequence[float] = _ONE_MM
) -> dict[str, Image.Image]:
    """`brain_picture` plane by plane, by the names of `panel.AXES`."""
    return planes(volume, mask, [Contour(mask, 0.5, MASK_COLOUR)], spacing)


def registration_planes(volume: Volume, mask: Mask, template: Volume) -> dict[str, Image.Image]:
    """The registered brain with the template's outline and white matter, around the brains alone.

    Args:
        volume: the prepared brain, crop axes (z, y, x), 1 mm.
        mask: its mask, same shape.
        template: the template on the same crop, 0 outside its brain.

    Returns:
        A picture of each plane, by the names of `panel.AXES`.
    """
    box = around(mask | (template > 0))
    return planes(_xyz(volume[box]), _xyz(mask[box]), _template_contours(template, box), _ONE_MM)


def around(mask: Mask) -> tuple[slice, ...]:
    """The box of the true voxels and a little more; everything where there are none."""
    return bounds(mask, _ROOM) or (slice(None),) * 3


def white(template: Volume) -> float:
    """The template's intensity above which it is mostly white matter."""
    return float(np.quantile(template[template > 0], _WHITE_MATTER))


def qc_png(volume: Volume, mask: Mask, template: Volume) -> bytes:
    """`brain_picture` over the same planes with the template's contours, as PNG.

    Args:
        volume, mask, template: crop axes (z, y, x).
    """
    above = brain_picture(_xyz(volume), _xyz(mask))
    below = _registered(volume, mask, template)
    sheet = Image.new("RGB", (above.width, above.height + below.height))
    sheet.paste(above, (0, 0))
    sheet.paste(below, (0, above.height))
    return _png(sheet)


def _registered(volume: Volume, mask: Mask, template: Volume) -> Image.Image:
    words = "template, outline and white matter (a brain keeps its own size)"
    return row(_xyz(volume), _xyz(mask), _template_contours(template), _ONE_MM, words)


def _template_contours(template: Volume, box: tuple[slice, ...] = ()) -> list[Contour]:
    part = _xyz(template[box])
    return [
        Contour(part, white(template), TEMPLATE_COLOUR, blur=1.5, width=1),
        Contour(part > 0, 0.5, TEMPLATE_COLOUR),
    ]


def _xyz(crop: NDArray[Any]) -> NDArray[Any]:
    return crop.transpose(2, 1, 0)


def _png(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()
