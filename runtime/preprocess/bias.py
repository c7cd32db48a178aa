"""N4 bias-field correction inside a brain mask.

The measured volume is the true one times a smooth field. N4 alternates between guessing the
true log intensities (`sharpen`) and fitting the rest by a B-spline (`bspline`), whose mesh
doubles from level to level.

Source: Tustison et al. 2010, doi:10.1109/TMI.2010.2046908; settings and stopping rule as ITK's
N4BiasFieldCorrectionImageFilter has them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmtool.errors import PreprocessingError
from runtime.preprocess.bspline import GridFit, Spline, fractions, refine
from runtime.preprocess.sharpen import sharpen

Spacing = tuple[float, float, float]

_LEVELS = 4
_ITERATIONS = 50  # at most, per level
_CONVERGED = 0.001  # coefficient of variation of the field's change, in the mask
_SHRINK = 4
_STEP_MM = (3.0, 8.0)  # bounds on the distance of the sampled voxels: keeps submillimetre scans
# affordable and thick slices usable; between 0.75 and 2 mm the factor is always 4
_MIN_SAMPLES = 200  # as many as the histogram has bins; with fewer, shrink less


def n4(
    volume: NDArray[np.floating[Any]],
    mask: NDArray[np.bool_],
    spacing: Spacing = (1.0, 1.0, 1.0),
) -> NDArray[np.float32]:
    """The bias field's natural logarithm; the corrected volume is `volume / exp(field)`.

    Args:
        volume: (x, y, z) intensities. Voxels that are not positive and finite do not count.
        mask: bool, same shape: the brain.
        spacing: mm per axis.

    Returns:
        float32 (x, y, z), laid out in memory like `volume`. The field's mean is arbitrary, and
        far outside the mask it means nothing.

    Raises:
        PreprocessingError: if no voxel of the mask has a positive intensity.
    """
    return fit(volume, mask, spacing).on_grid(_memory_order(volume))


def correct(
    volume: NDArray[np.floating[Any]],
    mask: NDArray[np.bool_],
    spacing: Spacing = (1.0, 1.0, 1.0),
) -> NDArray[np.float32]:
    """The whole volume divided by the bias field, float32 (x, y, z); see `n4`.

    Raises:
        PreprocessingError: if no voxel of the mask has a positive intensity.
    """
    field = n4(volume, mask, spacing)
    np.exp(field, out=field)
    np.divide(volume, field, out=field)
    return field


def fit(
    volume: NDArray[np.floating[Any]],
    mask: NDArray[np.bool_],
    spacing: Spacing = (1.0, 1.0, 1.0),
) -> Spline:
    """The log bias field as a spline, to be evaluated where it is needed; see `n4`.

    Raises:
        PreprocessingError: if no voxel of the mask has a positive intensity.
    """
    if volume.ndim != 3 or volume.shape != mask.shape:
        raise ValueError(f"volume {volume.shape} and mask {mask.shape} must be 3D and alike")
    index, samples = _sample(volume, mask, spacing)
    inside = samples > 0.0
    measured = np.log(samples[inside], dtype=np.float64)
    positions = [fractions(i, n) for i, n in zip(index, volume.shape, strict=True)]

    lattice: NDArray[np.float64] = np.zeros((4, 4, 4))
    field = np.zeros_like(measured)
    residual = np.zeros(samples.shape)
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
    x, y, z = volume.shape
    return Spline(lattice, (x, y, z))


def _sample(
    volume: NDArray[np.floating[Any]], mask: NDArray[np.bool_], spacing: Spacing
) -> tuple[list[NDArray[np.intp]], NDArray[np.float64]]:
    """Every few voxels of the mask's bounding box.

    Returns:
        The voxel indices on each axis, and the intensities there: zero where a voxel is outside
        the mask or not positive and finite.
    """
    for factors in _shrink_factors(spacing):
        index = [_centred(n, f) for n, f in zip(volume.shape, factors, strict=True)]
        grid = np.ix_(*index)
        values = volume[grid].astype(np.float64)
        inside = mask[grid].astype(bool) & (values > 0.0) & (values < np.inf)
        values[~inside] = 0.0
        if np.count_nonzero(values) >= _MIN_SAMPLES:
            break
    if not values.any():
        raise PreprocessingError(
            "the brain mask holds no voxel with a positive intensity: nothing to correct"
        )
    for axis in range(3):
        filled = np.flatnonzero(values.any(axis=tuple(a for a in range(3) if a != axis)))
        kept = slice(filled[0], filled[-1] + 1)
        index[axis] = index[axis][kept]
        values = values[(slice(None),) * axis + (kept,)]
    return index, np.ascontiguousarray(values)


def _shrink_factors(spacing: Spacing) -> list[tuple[int, ...]]:
    """The factors per axis to try, the intended ones first, then ever smaller ones."""
    first = [max(1, round(float(np.clip(_SHRINK * s, *_STEP_MM)) / s)) for s in spacing]
    return [tuple(max(1, f - less) for f in first) for less in range(max(first))]


def _centred(size: int, factor: int) -> NDArray[np.intp]:
    """Every `factor`-th index, as close to the middle of its block as ITK's shrinking takes it."""
    count = max(1, size // factor)
    start = int(np.floor((size - 1) / 2 - factor * (count - 1) / 2 + 0.5))
    return start + factor * np.arange(count)


def _memory_order(volume: NDArray[np.floating[Any]]) -> list[int]:
    """The axes from the slowest to the fastest."""
    return sorted(range(3), key=lambda axis: -abs(volume.strides[axis]))
