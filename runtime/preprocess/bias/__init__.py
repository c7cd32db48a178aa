"""N4 bias-field correction inside a brain mask.

The measured volume is the true one times a smooth field. N4 alternates between guessing the
true log intensities (`sharpen`) and fitting the rest by a B-spline (`bspline`), whose mesh
doubles from level to level.

ITK looks at every fourth voxel and lays the mesh over the scan's field of view (`by_scan`), so that
the same head on another grid has another field. `by_head` looks every few millimetres from the
brain's centre of mass and lays the mesh over a cube about it, so that it has the same.

Source: Tustison et al. 2010, doi:10.1109/TMI.2010.2046908; settings and stopping rule as ITK's
N4BiasFieldCorrectionImageFilter has them.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fmtool.errors import PreprocessingError
from runtime.preprocess.bias.bspline import GridFit, Spline, refine
from runtime.preprocess.bias.samples import Spacing, by_head, by_scan
from runtime.preprocess.bias.sharpen import sharpen

Frame = Literal["scan", "head"]
"""Whose places and mesh: the scan's, as ITK has them, or the head's own."""

_LEVELS = 4
_ITERATIONS = 50  # at most, per level
_CONVERGED = 0.001  # coefficient of variation of the field's change, in the mask


def n4(
    volume: NDArray[np.floating[Any]],
    mask: NDArray[np.bool_],
    spacing: Spacing = (1.0, 1.0, 1.0),
    frame: Frame = "scan",
) -> NDArray[np.float32]:
    """The bias field's natural logarithm; the corrected volume is `volume / exp(field)`.

    Args:
        volume: (x, y, z) intensities. Voxels that are not positive and finite do not count.
        mask: bool, same shape: the brain.
        spacing: mm per axis.
        frame: "head" for a field that belongs to the head, "scan" for ITK's.

    Returns:
        float32 (x, y, z), laid out in memory like `volume`. The field's mean is arbitrary, and
        far outside the mask it means nothing.

    Raises:
        PreprocessingError: if no voxel of the mask has a positive intensity.

    Example:
        >>> import numpy as np
        >>> from runtime.preprocess.bias import n4
        >>> x = np.linspace(-1, 1, 40)
        >>> brain = np.add.outer(np.add.outer(x**2, x**2), x**2) < 0.8
        >>> tissue = np.where(np.indices(brain.shape).sum(axis=0) % 16 < 8, 600.0, 900.0)
        >>> volume = tissue * np.exp(0.3 * x[:, None, None])
        >>> field = n4(volume, brain, spacing=(4.0, 4.0, 4.0))
        >>> bool(np.corrcoef(field[brain], np.log(volume / tissue)[brain])[0, 1] > 0.9)
        True
    """
    return fit(volume, mask, spacing, frame).on_grid(_memory_order(volume))


def correct(
    volume: NDArray[np.floating[Any]],
    mask: NDArray[np.bool_],
    spacing: Spacing = (1.0, 1.0, 1.0),
    frame: Frame = "scan",
) -> NDArray[np.float32]:
    """The whole volume divided by the bias field, float32 (x, y, z); see `n4`.

    Raises:
        PreprocessingError: if no voxel of the mask has a positive intensity.
    """
    field = n4(volume, mask, spacing, frame)
    np.exp(field, out=field)
    np.divide(volume, field, out=field)
    return field


def fit(
    volume: NDArray[np.floating[Any]],
    mask: NDArray[np.bool_],
    spacing: Spacing = (1.0, 1.0, 1.0),
    frame: Frame = "scan",
) -> Spline:
    """The log bias field as a spline, to be evaluated where it is needed; see `n4`.

    Raises:
        PreprocessingError: if no voxel of the mask has a positive intensity.
    """
    if volume.ndim != 3 or volume.shape != mask.shape:
        raise ValueError(f"volume {volume.shape} and mask {mask.shape} must be 3D and alike")
    look = by_head if frame == "head" else by_scan
    found = look(volume, mask, spacing)
    if found is None or not found.inside.any():
        raise PreprocessingError(
            "the brain mask holds no voxel with a positive intensity: nothing to correct"
        )
    inside = found.inside
    measured = np.log(found.values[inside])
    positions = [found.fractions(axis, places) for axis, places in enumerate(found.places)]

    lattice: NDArray[np.float64] = np.zeros((4, 4, 4))
    field = np.zeros_like(measured)
    residual = np.zeros(inside.shape)
    for level in range(_LEVELS):
        if level:
            lattice = refine(lattice)
        grid = GridFit(positions, inside, [n - 3 for n in lattice.shape])
        for _ in range(_ITERATIONS):
            uncorrected = measured - field
            residual[inside] = uncorrected - sharpen(uncorrected)
            lattice = lattice + grid.lattice(residual)
            update = grid.evaluate(lattice)[inside]
            change = np.exp(field - update)
            field = update
            if change.std() <= _CONVERGED * change.mean():
                break
    x, y, z = (found.fractions(axis, np.arange(n)) for axis, n in enumerate(volume.shape))
    return Spline(lattice, (x, y, z))


def _memory_order(volume: NDArray[np.floating[Any]]) -> list[int]:
    """The axes from the slowest to the fastest."""
    return sorted(range(3), key=lambda axis: -abs(volume.strides[axis]))
