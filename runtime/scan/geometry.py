"""Where a volume's voxels lie: which frame rules, in which unit, and whether it can be a head."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from fmtool.errors import InputError
from runtime.scan.header import Header

_MM = {"m": 1000.0, "um": 0.001}
_UNIT_NAMES = {"m": "metres", "um": "micrometres"}
_FARTHEST_MM = 1e6
_LEAST_MM, _MOST_MM = 0.1, 10.0
_FRAMES_AGREE_MM = 1.0  # at the corners, where 1 degree of rotation is more than this
_PIXDIM_AGREES = 0.02
_MOST_SHEAR = 0.02  # cosine between two voxel axes; 1.1 degrees off the right angle

THICK_MM, THICK_RATIO = 3.0, 3.0
"""Voxels with a longer side, or with sides in a larger ratio, lose fine anatomy."""

Affine = NDArray[np.float64]


@dataclass(frozen=True)
class Geometry:
    """A volume's place in the scanner's world.

    Attributes:
        affine: 4x4, stored voxel -> scanner RAS mm.
        source: "sform", "qform", "mgh" or "assumed".
        orientation: where the stored axes point, such as "LAS".
        warnings: sentences about what is unusual.
    """

    affine: Affine
    source: str
    orientation: str
    warnings: list[str]


def locate(path: Path, header: Header, assume_ras: bool) -> Geometry:
    """The geometry that a header describes; the sform rules over the qform, as nibabel has it.

    Raises:
        InputError: if there is no orientation and none is assumed, or it cannot be that of a head.
    """
    warnings: list[str] = []
    name, affine = _frame(path, header, assume_ras, warnings)
    scale = _MM.get(header.units, 1.0)
    affine = affine.copy()
    affine[:3] *= scale
    if scale != 1.0:
        warnings.append(
            f"The header gives lengths in {_UNIT_NAMES[header.units]}; they were converted to mm."
        )
    spacing = _check(path, affine, name)
    _compare(header, affine, name, scale, warnings)
    sizes = np.multiply(header.pixdim, scale)
    if not np.allclose(spacing, sizes, rtol=_PIXDIM_AGREES):
        warnings.append(
            f"The header's voxel sizes ({_mm(sizes)}) differ from those of its {name} "
            f"({_mm(spacing)}); the {name} is used."
        )
    sentence = thick(spacing)
    if sentence:
        warnings.append(sentence)
    return Geometry(affine, name, _codes(affine), warnings)


def thick(spacing: Sequence[float] | NDArray[np.float64]) -> str | None:
    """The sentence to say about voxels of these sides (mm) if they are thick, else None."""
    if max(spacing) <= THICK_MM and max(spacing) / min(spacing) <= THICK_RATIO:
        return None
    return (
        f"The voxels are {_mm(sorted(spacing))}: thick slices; expected at most {THICK_MM:g} mm "
        f"and sides within a factor of {THICK_RATIO:g}, so fine anatomy is lost."
    )


def to_canonical(affine: Affine, shape: tuple[int, ...]) -> tuple[list[int], list[bool], Affine]:
    """How to reach the closest RAS+ order: the axes' order, flips after it, the new affine."""
    ornt = nib.orientations.io_orientation(affine)
    order = [int(np.flatnonzero(ornt[:, 0] == axis)[0]) for axis in range(3)]
    flips = [bool(ornt[axis, 1] < 0) for axis in order]
    return order, flips, np.asarray(affine @ nib.orientations.inv_ornt_aff(ornt, shape))


def _frame(path: Path, header: Header, assume_ras: bool, warnings: list[str]) -> tuple[str, Affine]:
    if header.frames:
        name = next(iter(header.frames))
        if header.damaged:
            warnings.append(f"The {header.damaged[0]} is damaged; the {name} is used.")
        return name, header.frames[name]
    if header.damaged:
        raise InputError(
            f"{path} is damaged: its {header.damaged[0]} is no orientation; convert it again from "
            "its DICOM files"
        )
    if not assume_ras:
        raise InputError(
            f"{path} has no orientation (sform and qform codes of 0), so left and right are "
            "unknown; convert it again, or use --assume-ras if you know that it is RAS"
        )
    affine = np.diag([*header.pixdim, 1.0])
    affine[:3, 3] = -0.5 * np.multiply(np.subtract(header.shape, 1), header.pixdim)
    warnings.append(
        f"The file has no orientation: its axes were taken as right, anterior, superior, with "
        f"voxels of {_mm(np.array(header.pixdim) * _MM.get(header.units, 1.0))}."
    )
    return "assumed", affine


def _check(path: Path, affine: Affine, name: str) -> NDArray[np.float64]:
    """The voxel sizes in mm, if the affine can be that of a head."""
    axes = affine[:3, :3]
    again = "convert it again from its DICOM files"
    if not (np.abs(affine) < _FARTHEST_MM).all():  # also for values that are no numbers
        raise InputError(f"{path} is damaged: its {name} holds impossible lengths; {again}")
    spacing = np.linalg.norm(axes, axis=0)
    if spacing.min() < 1e-9:
        raise InputError(f"{path} has a singular {name} (an axis of length 0); {again}")
    cosines = np.abs((axes / spacing).T @ (axes / spacing) - np.eye(3)).max()
    if abs(np.linalg.det(axes / spacing)) < 0.1:
        raise InputError(f"{path} has a singular {name} (its axes are not independent); {again}")
    if cosines > _MOST_SHEAR:
        degrees = np.degrees(np.arcsin(min(cosines, 1.0)))
        raise InputError(
            f"{path} has a sheared {name} (axes {degrees:.1f} degrees off the right angle); "
            "resample it to a rectangular grid"
        )
    if spacing.min() < _LEAST_MM or spacing.max() > _MOST_MM:
        raise InputError(
            f"{path} has voxels of {_mm(spacing)}; expected {_LEAST_MM:g} to {_MOST_MM:g} mm: its "
            "header or its unit of length is wrong"
        )
    return np.asarray(spacing)


def _compare(header: Header, affine: Affine, name: str, scale: float, warnings: list[str]) -> None:
    """Warn when the header's two frames put the volume in two places."""
    corners = np.array([[*c, 1.0] for c in itertools.product(*((0, n - 1) for n in header.shape))])
    for other, frame in header.frames.items():
        if other == name:
            continue
        gap = scale * (corners @ frame.T) - corners @ affine.T
        apart = np.linalg.norm(gap[:, :3], axis=1)
        if apart.max() > _FRAMES_AGREE_MM:
            codes = _codes(affine), _codes(frame)
            turned = f" and in orientation ({' and '.join(codes)})" if codes[0] != codes[1] else ""
            warnings.append(
                f"The {name} and the {other} differ by up to {apart.max():.1f} mm{turned}; "
                f"the {name} is used."
            )


def _codes(affine: Affine) -> str:
    codes: tuple[Any, ...] = nib.aff2axcodes(affine)
    return "".join(str(c) for c in codes)


def _mm(sizes: Any) -> str:
    return " x ".join(f"{float(v):.4g}" for v in sizes) + " mm"
