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
from fmtool.errors.advice import option
from runtime.scan.header import Header

_MM = {"m": 1000.0, "um": 0.001}
_UNIT_NAMES = {"m": "metres", "um": "micrometres"}
_FARTHEST_MM = 1e6
_LEAST_MM, _MOST_MM = 0.1, 10.0
_FRAMES_AGREE_MM = 1.0  # at the corners, where 1 degree of rotation is more than this
_SAME_SIZE = 0.005  # of a voxel's side; also the cosine between two axes that counts as shear
_MOST_SHEAR = 0.02  # cosine between two voxel axes; 1.1 degrees off the right angle
_REMEDY = "convert it again from its DICOM files"

THICK_MM, THICK_RATIO = 3.0, 3.0
"""Voxels with a longer side, or with sides in a larger ratio, lose fine anatomy."""

Affine = NDArray[np.float64]


@dataclass(frozen=True)
class Geometry:
    """A volume's place in the scanner's world.

    Attributes:
        affine: 4x4, stored voxel -> scanner RAS mm.
        source: "sform", "qform", "mgh", "dicom" or "assumed".
        orientation: where the stored axes point, such as "LAS".
        itk: 4x4, that RAS mm -> the RAS mm in which ITK sees the same voxel; None where ITK reads
            no frame from the file.
        warnings: sentences about what is unusual.
    """

    affine: Affine
    source: str
    orientation: str
    itk: Affine | None
    warnings: list[str]


def locate(path: Path, header: Header, assume_ras: bool) -> Geometry:
    """The geometry that a header describes; the sform rules over the qform, as nibabel has it.

    But where the qform is rigid and the sform is not (a transform to an atlas, or damaged), the
    qform rules: brain size is information.

    Raises:
        InputError: if there is no orientation and none is assumed, or it cannot be that of a head.
    """
    warnings = [*header.remarks]
    scale = _MM.get(header.units, 1.0)
    if scale != 1.0:
        warnings.append(
            f"The header gives lengths in {_UNIT_NAMES[header.units]}; they were converted to mm."
        )
    sizes = np.multiply(header.pixdim, scale)
    try:
        name, affine = _frame(path, header, sizes, scale, assume_ras, warnings)
    except InputError as error:
        raise InputError(" ".join([f"{error}.", *warnings]) if warnings else str(error)) from None
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    if not np.allclose(spacing, sizes, rtol=_SAME_SIZE):
        warnings.append(
            f"The header's voxel sizes ({_mm(sizes)}) differ from those of its {name} "
            f"({_mm(spacing)}); the {name} is used."
        )
    sentence = thick(spacing)
    if sentence:
        warnings.append(sentence)
    seen = affine if header.itk is None else _in_mm(header.itk, scale)
    itk = seen @ np.linalg.inv(affine) if np.isfinite(seen).all() else None
    return Geometry(affine, name, _codes(affine), itk, warnings)


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


def _frame(
    path: Path,
    header: Header,
    sizes: NDArray[np.float64],
    scale: float,
    assume_ras: bool,
    warnings: list[str],
) -> tuple[str, Affine]:
    """The frame that rules, in mm; `warnings` grows by why the others do not."""
    sized = bool((np.isfinite(sizes) & (sizes > 0)).all())
    frames = {
        name: _in_mm(frame, scale)
        for name, frame in header.frames.items()
        if sized or name != "qform"  # which is made with these sizes
    }
    faults = {name: fault for name, frame in frames.items() if (fault := _fault(frame))}
    sound = [name for name in frames if name not in faults]
    if sound == ["sform", "qform"] and (fault := _not_rigid(frames["sform"], sizes)):
        faults["sform"] = fault
        sound = ["qform"]
    if sound:
        name = sound[0]
        warnings += [f"The {other} {fault}; the {name} is used." for other, fault in faults.items()]
        _compare(header, frames, name, faults, warnings)
        return name, frames[name]
    for name, fault in faults.items():
        remedy = "resample it to a rectangular grid" if "sheared" in fault else _REMEDY
        raise InputError(f"{path} cannot be placed: its {name} {fault}; {remedy}")
    if not sized:
        raise InputError(
            f"{path} is damaged: its header gives voxel sizes of {_mm(sizes)}; {_REMEDY}"
        )
    if not assume_ras:
        raise InputError(
            f"{path} has no orientation ({header.unplaced}), so left and right are "
            f"unknown; convert it again{option(', or use --assume-ras if you know that it is RAS')}"
        )
    affine = np.diag([*sizes, 1.0])
    affine[:3, 3] = -0.5 * np.multiply(np.subtract(header.shape, 1), sizes)
    if fault := _fault(affine):
        raise InputError(f"{path} cannot be placed: its header {fault}; {_REMEDY}")
    warnings.append(
        "The file has no orientation: its axes were taken as right, anterior, superior, with "
        f"voxels of {_mm(sizes)}."
    )
    return "assumed", affine


def _fault(affine: Affine) -> str:
    """Why a frame (4x4, mm) cannot be that of a head; empty if it can."""
    axes = affine[:3, :3]
    if not np.isfinite(affine).all():
        return "is no orientation"
    if np.abs(affine).max() >= _FARTHEST_MM:
        return "holds impossible lengths"
    spacing = np.linalg.norm(axes, axis=0)
    if spacing.min() < 1e-9:
        return "is singular (an axis of length 0)"
    if abs(np.linalg.det(axes / spacing)) < 0.1:
        return "is singular (its axes are not independent)"
    if _shear(axes / spacing) > _MOST_SHEAR:
        return _sheared(axes / spacing)
    if spacing.min() < _LEAST_MM or spacing.max() > _MOST_MM:
        expected = f"expected {_LEAST_MM:g} to {_MOST_MM:g} mm"
        return f"gives voxels of {_mm(spacing)}, {expected}: it or its unit of length is wrong"
    return ""


def _not_rigid(affine: Affine, sizes: NDArray[np.float64]) -> str:
    """How a frame without a fault scales or shears voxels of `sizes` (mm); empty if it does not."""
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    if not np.allclose(spacing, sizes, rtol=_SAME_SIZE):
        return f"scales the voxels (to {_mm(spacing)} from {_mm(sizes)})"
    axes = affine[:3, :3] / spacing
    return _sheared(axes) if _shear(axes) > _SAME_SIZE else ""


def _shear(axes: NDArray[np.float64]) -> float:
    """The largest cosine between two of three unit axes."""
    return float(np.abs(axes.T @ axes - np.eye(3)).max())


def _sheared(axes: NDArray[np.float64]) -> str:
    degrees = np.degrees(np.arcsin(min(_shear(axes), 1.0)))
    return f"is sheared (axes {degrees:.1f} degrees off the right angle)"


def _compare(
    header: Header,
    frames: dict[str, Affine],
    name: str,
    faults: dict[str, str],
    warnings: list[str],
) -> None:
    """Warn when the header's two frames put the volume in two places."""
    corners = np.array([[*c, 1.0] for c in itertools.product(*((0, n - 1) for n in header.shape))])
    for other, frame in frames.items():
        if other == name or (other in faults and _fault(frame)):
            continue
        gap = corners @ frame.T - corners @ frames[name].T
        apart = np.linalg.norm(gap[:, :3], axis=1).max()
        codes = _codes(frames[name]), _codes(frame)
        turned = f" and in orientation ({' and '.join(codes)})" if codes[0] != codes[1] else ""
        if apart > _FRAMES_AGREE_MM and (turned or other not in faults):
            warnings.append(
                f"The {name} and the {other} differ by up to {apart:.1f} mm{turned}; "
                f"the {name} is used."
            )


def _in_mm(affine: Affine, scale: float) -> Affine:
    scaled = affine.copy()
    scaled[:3] *= scale
    return scaled


def _codes(affine: Affine) -> str:
    codes: tuple[Any, ...] = nib.aff2axcodes(affine)
    return "".join(str(c) for c in codes)


def _mm(sizes: Any) -> str:
    return " x ".join(f"{float(v):.4g}" for v in sizes) + " mm"
