"""What every volume's header must say before its voxels are read, whatever the file format."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmtool.errors import InputError

MAX_VOXELS = 1 << 28
"""No larger volume is read (1 GiB as float32; sixteen times a 1 mm head in a 256 mm cube)."""

MAX_AXIS = 2048
MIN_AXIS = 16
"""Fewer voxels along an axis than this is a slice or a slab, not a head."""


@dataclass(frozen=True)
class Header:
    """What a volume's header says, as stored.

    Attributes:
        shape: three voxel counts.
        dtype: a real number type with its byte order.
        offset: bytes before the first voxel.
        slope: value = stored * slope + inter.
        inter: see `slope`.
        pixdim: voxel sizes, in `units`; of NIfTI perhaps nonsense.
        units: "mm", "m", "um" or "unknown".
        frames: 4x4 voxel -> RAS in `units`, by name ("sform", "qform", "mgh", "dicom"), the first
            to be preferred; perhaps nonsense.
        unplaced: how the format says that there is none.
        remarks: sentences about what is unusual.
        itk: 4x4 voxel -> RAS in `units` as ITK reads the file, NaN where it reads no frame; None
            where it takes the same as fmtool.
    """

    shape: tuple[int, int, int]
    dtype: np.dtype[Any]
    offset: int
    slope: float
    inter: float
    pixdim: tuple[float, float, float]
    units: str
    frames: dict[str, NDArray[np.float64]]
    unplaced: str = "sform and qform codes of 0"
    remarks: tuple[str, ...] = ()
    itk: NDArray[np.float64] | None = None

    @property
    def data_bytes(self) -> int:
        """The size of the voxels as stored."""
        return math.prod(self.shape) * self.dtype.itemsize


def one_volume(path: Path, dims: Sequence[int]) -> tuple[int, int, int]:
    """The shape of one 3D volume from all the dimensions that a header gives.

    Raises:
        InputError: for nonsense, a series of volumes, a slice, or more voxels than are read.
    """
    if not dims or min(dims) < 1:
        raise InputError(f"{path} is damaged: its header gives the dimensions {list(dims)}")
    volumes = math.prod(dims[3:])
    if volumes > 1:
        raise InputError(
            f"{path} is a series of {volumes} volumes ({times(dims)}), such as BOLD or diffusion; "
            "expected one T1-weighted head"
        )
    x, y, z = [*dims, 1, 1][:3]
    if max(x, y, z) > MAX_AXIS or x * y * z > MAX_VOXELS:
        raise InputError(
            f"{path} claims {times((x, y, z))} voxels; at most {MAX_VOXELS} are read, and "
            f"{MAX_AXIS} along an axis"
        )
    if min(x, y, z) < MIN_AXIS:
        raise InputError(
            f"{path} has {times((x, y, z))} voxels: a slice or a slab; expected a whole head with "
            f"at least {MIN_AXIS} slices along each axis"
        )
    return x, y, z


def real(path: Path, dtype: np.dtype[Any]) -> np.dtype[Any]:
    """`dtype` if its voxels are single real numbers of at most 8 bytes.

    Raises:
        InputError: for colour, complex and longer numbers.
    """
    if dtype.kind not in "iuf" or dtype.itemsize > 8:
        kind = "colour" if dtype.names else "complex" if dtype.kind == "c" else "unusual"
        raise InputError(
            f"{path} holds {kind} voxels; expected one real number per voxel, as in a T1-weighted "
            "scan"
        )
    return dtype


def times(dims: Sequence[int]) -> str:
    """Dimensions in words: "160 x 192 x 192"."""
    return " x ".join(str(n) for n in dims)
