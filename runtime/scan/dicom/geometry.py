"""Slices to one volume: their order, the checks that they make one, and its affine.

DICOM's world points left, posterior, superior (LPS); ours right, anterior, superior (RAS).
Part 3 of the standard, C.7.6.2.1.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmtool.errors import InputError
from runtime.scan.dicom.frame import Frame
from runtime.scan.dicom.order import along, volumes
from runtime.scan.header import one_volume

ORIENTATION_TOLERANCE = 1e-3
"""In a direction cosine, between two slices and from the right angle: 0.06 degrees."""

SPACING_TOLERANCE_MM = 1e-3
"""In the pixel spacing, between two slices."""

PLACE_TOLERANCE = 0.05
"""How far a slice may lie from its place on the line, in slice distances ..."""

PLACE_TOLERANCE_MM = 0.02
"""... or in mm, for positions that the scanner has rounded; the larger one counts."""

TILT_TOLERANCE_DEGREES = 0.3
"""Between the normal of the slices and the line through them; a tilted gantry has 5 and more."""

_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_COINCIDE_MM = 1e-2


@dataclass(frozen=True)
class Stack:
    """One volume's slices.

    Attributes:
        frames: in order along the third axis.
        affine: 4x4, voxel (column, row, slice) -> scanner RAS mm.
        shape: columns, rows, slices.
        study: StudyInstanceUID, where it is known; never shown.
    """

    frames: list[Frame]
    affine: NDArray[np.float64]
    shape: tuple[int, int, int]
    study: str = ""


def stack(name: str, frames: Sequence[Frame]) -> Stack:
    """Order the slices of a series.

    Args:
        name: of the source and the series, which begins each complaint.

    Raises:
        InputError: if they are not one volume of equidistant, parallel slices.
    """
    if any(frame.packed > 1 for frame in frames):
        raise InputError(
            f"{name} packs several slices into an image without a place for each; export it as "
            "single slices or as Enhanced MR"
        )
    _uniform(name, frames)
    across, down = _axes(name, frames[0])
    several = volumes(frames)
    if several:
        raise InputError(
            f"{name} holds {several}; expected one volume: export the one to be read as a series "
            "of its own"
        )
    rows, columns = frames[0].shape
    shape = one_volume(Path(name), (columns, rows, len(frames)))
    places = along(frames)
    order = np.argsort(places, kind="stable")
    ordered = [frames[int(i)] for i in order]
    positions = np.array([frame.position for frame in ordered], dtype=np.float64)
    step = _step(name, np.asarray(places)[order], positions)
    _tilt(name, step, np.cross(across, down))
    between_rows, between_columns = ordered[0].spacing or (0.0, 0.0)
    lps = np.eye(4)
    lps[:3, 0], lps[:3, 1] = across * between_columns, down * between_rows
    lps[:3, 2], lps[:3, 3] = step, positions[0]
    return Stack(ordered, _LPS_TO_RAS @ lps, shape)


def _slices(count: int) -> str:
    return f"{count} slice{'s' * (count != 1)}"


def _uniform(name: str, frames: Sequence[Frame]) -> None:
    """Every slice has a place, and all have the same size, spacing and orientation."""
    for what, values in (
        ("position", [f.position for f in frames]),
        ("orientation", [f.orientation for f in frames]),
        ("pixel spacing", [f.spacing for f in frames]),
    ):
        without = sum(value is None for value in values)
        if without:
            raise InputError(
                f"{name} has {_slices(without)} of {len(frames)} without a valid {what}; export it "
                "again from the scanner or the archive"
            )
    shapes = sorted({f.shape for f in frames})
    if len(shapes) > 1:
        sizes = ", ".join(f"{columns} x {rows}" for rows, columns in shapes[:4])
        raise InputError(f"{name} mixes slices of {len(shapes)} matrices ({sizes}); expected one")
    spacings = np.array([f.spacing for f in frames])
    if spacings.min() <= 0.0:
        raise InputError(f"{name} has a pixel spacing of {spacings.min():g} mm; it is damaged")
    spread = np.ptp(spacings, axis=0).max()
    if spread > SPACING_TOLERANCE_MM:
        raise InputError(
            f"{name} mixes pixel spacings from {spacings.min():.4g} to {spacings.max():.4g} mm; "
            "expected one"
        )
    orientations = np.array([f.orientation for f in frames])
    apart = np.abs(orientations - orientations[0]).max(axis=1) > ORIENTATION_TOLERANCE
    if apart.any():
        kinds = len(np.unique(np.round(orientations, 2), axis=0))
        raise InputError(
            f"{name} mixes slices of {max(kinds, 2)} orientations ({int(apart.sum())} of "
            f"{len(frames)} differ from the first); expected parallel slices"
        )


def _axes(name: str, first: Frame) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The unit directions of a row (along columns) and of a column."""
    cosines = np.array(first.orientation, dtype=np.float64).reshape(2, 3)
    lengths = np.linalg.norm(cosines, axis=1)
    off = max(np.abs(lengths - 1.0).max(), abs(float(cosines[0] @ cosines[1])))
    if off > ORIENTATION_TOLERANCE:
        raise InputError(
            f"{name} is damaged: its row and column directions are no right angle of unit length "
            f"(off by {off:.2g})"
        )
    across, down = cosines / lengths[:, None]
    return across, down


def _step(
    name: str, places: NDArray[np.float64], positions: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The vector from a slice to the next, if all lie on one line at one distance."""
    gaps = np.diff(places)
    same = int((gaps < _COINCIDE_MM).sum())
    if same:
        where = places[int(np.argmin(gaps))]
        raise InputError(
            f"{name} has {_slices(same)} at the place of another (one at {where:.2f} mm along the "
            "normal); remove the duplicates, or choose the volume to be read"
        )
    usual = float(np.median(gaps))
    allowed = max(PLACE_TOLERANCE * usual, PLACE_TOLERANCE_MM)
    missing = np.round(gaps / usual).astype(int) - 1
    on_grid = np.abs(gaps - (missing + 1) * usual) <= 2 * allowed
    if (missing > 0).any() and on_grid.all():
        first = int(np.argmax(missing > 0))
        raise InputError(
            f"{name} lacks {_slices(int(missing.sum()))}: the first gap is of {gaps[first]:.2f} mm "
            f"behind {places[first]:.2f} mm, where the slices are {usual:.2f} mm apart; send it "
            "again whole"
        )
    step = (positions[-1] - positions[0]) / (len(positions) - 1)
    line = positions[0] + np.arange(len(positions))[:, None] * step
    off = float(np.linalg.norm(positions - line, axis=1).max())
    if off > allowed:
        raise InputError(
            f"{name} has slices at unequal distances ({gaps.min():.2f} to {gaps.max():.2f} mm; "
            f"one lies {off:.2f} mm off its place); resample it, or send it again whole"
        )
    return np.asarray(step)


def _tilt(name: str, step: NDArray[np.float64], normal: NDArray[Any]) -> None:
    cosine = float(step @ normal) / float(np.linalg.norm(step))
    degrees = float(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))))
    if degrees > TILT_TOLERANCE_DEGREES:
        raise InputError(
            f"{name} was taken with a tilted gantry: its slices lie {degrees:.1f} degrees off "
            f"the line through them, {TILT_TOLERANCE_DEGREES:g} are read; resample it to a "
            "rectangular grid"
        )
