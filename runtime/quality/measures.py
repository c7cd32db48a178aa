"""Everything that the checks measure on a prepared scan, in one pass over its brain."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from runtime.grid import bounds
from runtime.quality import (
    border,
    contrast,
    edge,
    field,
    fitted,
    ghosts,
    missing,
    noise,
    orientation,
    outliers,
    shape,
    sharpness,
    slices,
)
from runtime.quality.view import View


def measure(
    head: NDArray[np.float32],
    image: NDArray[np.float32],
    brain: NDArray[np.bool_],
    affine: NDArray[np.float64],
    volume: NDArray[np.float32],
    mask: NDArray[np.bool_],
    matrix: NDArray[np.float64],
    template: NDArray[np.float32],
    left_out: float | None = None,
) -> dict[str, float | None]:
    """Value by the check's key, see each check's file; None of what cannot be measured.

    Args:
        head: (x, y, z), the scan, its background zero.
        image: same shape, bias-corrected.
        brain: bool, same shape: its brain.
        affine: 4x4, voxel -> scan RAS mm.
        volume: (z, y, x), the prepared crop.
        mask: bool, its brain.
        matrix: 4x4, template RAS mm -> scan RAS mm, rigid.
        template: the template on the same crop, 0 outside its brain.
        left_out: of a stripped head, the percentage of the networks' mask that its strip left out.
    """
    box = bounds(brain) or (slice(None),) * 3
    view = View(image[box], brain[box], np.linalg.norm(affine[:3, :3], axis=0))
    alike = fitted.fit(volume, mask, template)
    found = {
        border.KEY: border.measure(brain),
        field.KIND.key: field.measure(view),
        shape.KIND.key: shape.measure(alike),
        edge.KIND.key: edge.measure(view),
        orientation.KIND.key: orientation.measure(matrix),
        contrast.KIND.key: contrast.measure(alike),
        noise.KIND.key: noise.measure(view),
        sharpness.KIND.key: sharpness.measure(view),
        outliers.KIND.key: outliers.measure(view),
        ghosts.KIND.key: ghosts.measure(head, brain, affine),
        slices.KIND.key: slices.measure(view),
        missing.KEY: missing.measure(head, affine, alike, matrix) if left_out is None else left_out,
    }
    return {key: value if math.isfinite(value) else None for key, value in found.items()}
