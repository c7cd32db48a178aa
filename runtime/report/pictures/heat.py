"""An attribution map as colours over a brain: which way, how strongly, and where most.

Orange raises the output, blue lowers it: two colours that every common colour vision tells apart;
and a plus and a minus stand where it is raised and lowered most, for those who see neither.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from fmtool import space
from runtime.attribution import Attribution
from runtime.preprocess.pipeline import Prepared
from runtime.report.pictures import panel
from runtime.report.pictures.picture import around

RAISES = (255, 140, 26)
LOWERS = (77, 163, 255)
STRONGEST = 0.8
"""How much of the brain's grey the largest value covers."""

_FULL = 98.0
"""Percentile of the absolute differences in the brain that has the full colour."""

_MARKED = 0.25
"""Of the full colour: what is weaker has no sign."""


@dataclass(frozen=True)
class Heat:
    """Colours for values from -limit to limit.

    Attributes:
        array: (x, y, z), on the grid of the volume below.
        limit: the value with the full colour.
    """

    array: NDArray[np.float32]
    limit: float

    def over(
        self, pixels: NDArray[np.uint8], values: NDArray[np.float32], mask: NDArray[np.bool_]
    ) -> NDArray[np.uint8]:
        """RGB pixels with the colours over them, and the signs."""
        size = (pixels.shape[1], pixels.shape[0])
        strength = np.where(mask, values / self.limit, 0.0).astype(np.float32)
        shown = np.asarray(Image.fromarray(strength).resize(size, Image.Resampling.BILINEAR))
        alpha = (np.clip(np.abs(shown), 0, 1) * STRONGEST)[..., None]
        colour = np.where((shown > 0)[..., None], RAISES, LOWERS)
        mixed = Image.fromarray((pixels * (1 - alpha) + colour * alpha).astype(np.uint8))
        for plus, side in ((True, shown), (False, -shown)):
            row, column = (int(i) for i in np.unravel_index(int(side.argmax()), side.shape))
            if side[row, column] >= _MARKED:
                _sign(ImageDraw.Draw(mixed), column, row, plus)
        return np.asarray(mixed)


def _sign(draw: ImageDraw.ImageDraw, x: int, y: int, plus: bool) -> None:
    """A white plus or minus with a black edge."""
    for colour, reach, half in (("black", 11, 4), ("white", 9, 2)):
        draw.rectangle((x - reach, y - half, x + reach - 1, y + half - 1), colour)
        if plus:
            draw.rectangle((x - half, y - reach, x + half - 1, y + reach - 1), colour)
    if plus:  # the black of the upright lies on the white of the bar
        draw.rectangle((x - 9, y - 2, x + 8, y + 1), "white")


def facts(found: Attribution, mask: NDArray[np.bool_]) -> dict[str, Any]:
    """What a map says, as plain data for words beside it.

    Args:
        found: one task's.
        mask: the brain, crop axes (z, y, x).

    Returns:
        "limit", "output" and "reference" (the template's; None if unknown), "positions" along
        (z, y, x), "inside" (the share of the absolute differences at positions in the brain) and,
        where it raises and where it lowers the output most inside the brain, "highest" and
        "lowest": each "value" and "mm", MNI RAS.
    """
    difference, inside = found.difference, found.inside(mask)
    within = np.abs(difference[inside]) if inside.any() else np.abs(difference)
    total = float(np.abs(difference).sum(dtype=np.float64))

    def extreme(sign: float) -> dict[str, Any]:
        ranked = np.where(inside, sign * difference, -np.inf)
        place = np.unravel_index(int(ranked.argmax()), ranked.shape)
        mm = found.affine @ [*map(float, place), 1.0]
        return {"value": float(difference[place]), "mm": [float(v) for v in mm[:3]]}

    base = found.reference
    return {
        "limit": max(float(np.percentile(within, _FULL)), 1e-6),
        "output": found.output,
        "reference": None if base is None else float(base.mean(dtype=np.float64)),
        "positions": list(found.values.shape),
        "inside": float(within.sum(dtype=np.float64)) / total if inside.any() and total else 0.0,
        "highest": extreme(1.0),
        "lowest": extreme(-1.0),
    }


def planes(found: Attribution, prepared: Prepared, said: dict[str, Any]) -> dict[str, Image.Image]:
    """Three planes of the registered brain under the map, through where it differs most.

    Args:
        found: one task's map.
        prepared: the scan.
        said: `facts` of both.
    """
    most = max((said["highest"], said["lowest"]), key=lambda place: abs(place["value"]))
    voxel = np.linalg.inv(space.crop_affine()) @ [*most["mm"], 1.0]
    edge = np.array(prepared.mask.shape) - 1
    z, y, x = (int(v) for v in np.clip(np.rint(voxel[:3]), 0, edge))
    array = _planes_only(found, prepared.mask.shape, (z, y, x))
    box = around(prepared.mask)
    return panel.planes(
        prepared.volume[box].transpose(2, 1, 0),
        prepared.mask[box].transpose(2, 1, 0),
        [],
        (1.0, 1.0, 1.0),
        (x - box[2].start, y - box[1].start, z - box[0].start),
        Heat(array[box].transpose(2, 1, 0), said["limit"]),
    )


def _planes_only(
    found: Attribution, shape: tuple[int, ...], through: tuple[int, int, int]
) -> NDArray[np.float32]:
    """The map on the crop where one of the three planes lies, zero elsewhere."""
    array = np.zeros(shape, dtype=np.float32)
    for axis, index in enumerate(through):
        here = np.eye(4)
        here[axis, 3] = index
        thin = [1 if a == axis else n for a, n in enumerate(shape)]
        box = tuple(slice(index, index + 1) if a == axis else slice(None) for a in range(3))
        array[box] = found.sample(space.crop_affine() @ here, thin)
    return array
