"""Three planes of a volume side by side, with contours, letters and a caption.

Radiological convention, as on a scanner's console: the patient's right is on the left of axial and
coronal planes, anterior is on the left of sagittal ones; superior and anterior are up.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import binary_erosion, gaussian_filter

Colour = tuple[int, int, int]

_PIXELS_PER_MM = 2.0
_GAP = 12
_FOOT = 34
_WINDOW = (0.5, 99.7)  # percentiles of the brain that become black and white


AXES = {"axial": 2, "coronal": 1, "sagittal": 0}
"""The planes, by the axis (x, y, z) that they are cut across."""


class Tint(Protocol):
    """Colours laid over a plane."""

    @property
    def array(self) -> NDArray[np.float32]:
        """(x, y, z), what they stand for."""

    def over(
        self, pixels: NDArray[np.uint8], values: NDArray[np.float32], mask: NDArray[np.bool_]
    ) -> NDArray[np.uint8]:
        """RGB pixels with the colours of the plane's values, where the mask is true."""


class Contour(NamedTuple):
    """Where an array (x, y, z) crosses a level, after a blur of so many voxels in the plane."""

    array: NDArray[Any]
    level: float
    colour: Colour
    blur: float = 0.0
    width: int = 2


def row(
    volume: NDArray[np.float32],
    mask: NDArray[np.bool_],
    contours: Sequence[Contour],
    spacing: Sequence[float],
    words: str,
) -> Image.Image:
    """Axial, coronal and sagittal planes through the mask's centre, side by side.

    Args:
        volume: intensities, RAS+ axes (x, y, z).
        mask: the brain, same shape.
        contours: lines to draw, on the same grid; the last lies on top.
        spacing: voxel sizes in mm.
        words: what the contours show.
    """
    panels = list(planes(volume, mask, contours, spacing).values())
    height = max(p.height for p in panels)
    sheet = Image.new(
        "RGB", (sum(p.width for p in panels) + _GAP * (len(panels) + 1), height + _GAP + _FOOT)
    )
    left = _GAP
    for panel in panels:
        sheet.paste(panel, (left, _GAP + (height - panel.height) // 2))
        left += panel.width + _GAP
    _caption(sheet, contours[-1].colour, words)
    return sheet


def planes(
    volume: NDArray[np.float32],
    mask: NDArray[np.bool_],
    contours: Sequence[Contour],
    spacing: Sequence[float],
    at: Sequence[int] | None = None,
    tint: Tint | None = None,
) -> dict[str, Image.Image]:
    """The same planes one by one, by the names of `AXES`.

    Args:
        volume, mask, contours, spacing: see `row`.
        at: the voxel (x, y, z) they go through; the mask's centre when absent.
        tint: a volume laid over the intensities.
    """
    low, high = window(volume, mask)
    through = _centre(mask) if at is None else at
    panels = {}
    for name, axis in AXES.items():
        index = through[axis]
        across, up = (round(volume.shape[a] * spacing[a] * _PIXELS_PER_MM) for a in others(axis))
        size = (max(across, 1), max(up, 1))
        grey = np.clip((plane(volume, axis, index) - low) * (255.0 / (high - low)), 0, 255)
        picture = Image.fromarray(grey.astype(np.uint8)).resize(size, Image.Resampling.BICUBIC)
        pixels = np.array(picture.convert("RGB"))
        if tint is not None:
            pixels = tint.over(pixels, plane(tint.array, axis, index), plane(mask, axis, index))
        for contour in contours:
            pixels[_edge(plane(contour.array, axis, index), contour, size)] = contour.colour
        panels[name] = _lettered(Image.fromarray(pixels), axis)
    return panels


def plane(array: NDArray[Any], axis: int, index: int) -> NDArray[Any]:
    """One plane of an array (x, y, z), rows down and columns across as it is shown."""
    across, up = others(axis)
    fixed = [slice(None)] * 3
    fixed[axis] = slice(index, index + 1)
    return array[tuple(fixed)].transpose(axis, up, across)[0, ::-1, ::-1]


def others(axis: int) -> tuple[int, int]:
    """The axes (across, up) of a plane cut across `axis`."""
    return {0: (1, 2), 1: (0, 2), 2: (0, 1)}[axis]


def _edge(values: NDArray[Any], contour: Contour, size: tuple[int, int]) -> NDArray[np.bool_]:
    """The pixels of a contour, inside of it, at the size shown."""
    smooth = values.astype(np.float32)
    if contour.blur:
        smooth = gaussian_filter(smooth, contour.blur)
    shown = np.asarray(Image.fromarray(smooth).resize(size, Image.Resampling.BILINEAR))
    filled = shown >= contour.level
    return np.asarray(filled & ~binary_erosion(filled, iterations=contour.width))


def _lettered(panel: Image.Image, axis: int) -> Image.Image:
    draw, font = ImageDraw.Draw(panel), ImageFont.load_default(22)
    left, right = ("A", "P") if axis == 0 else ("R", "L")
    for x, letter, anchor in ((6, left, "lm"), (panel.width - 6, right, "rm")):
        place = (x, panel.height // 2)
        draw.text(place, letter, "white", font, anchor, stroke_width=2, stroke_fill="black")
    return panel


def _caption(sheet: Image.Image, colour: Colour, words: str) -> None:
    draw, middle = ImageDraw.Draw(sheet), sheet.height - _FOOT // 2
    draw.line((_GAP, middle, _GAP + 26, middle), colour, 4)
    said = f"{words}; R, L, A, P: the patient's right, left, front, back"
    draw.text((_GAP + 34, middle), said, (215, 215, 215), ImageFont.load_default(17), "lm")


def window(volume: NDArray[np.float32], mask: NDArray[np.bool_]) -> tuple[float, float]:
    """The intensities shown black and white, from every other voxel along each axis."""
    some = (slice(None, None, 2),) * 3
    values = volume[some][mask[some]] if mask[some].any() else volume[some]
    low, high = (float(v) for v in np.percentile(values, _WINDOW))
    return low, max(high, low + 1e-6)


def _centre(mask: NDArray[np.bool_]) -> tuple[int, int, int]:
    """The mask's centre, or the array's where the mask is empty."""
    found = []
    for axis in range(3):
        profile = mask.sum(axis=others(axis), dtype=np.int64)
        total = int(profile.sum())
        index = np.arange(profile.size)
        found.append(int(profile @ index) // total if total else profile.size // 2)
    return found[0], found[1], found[2]
