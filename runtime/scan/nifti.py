"""NIfTI-1, NIfTI-2 and FreeSurfer MGH volumes: the header first, then exactly the voxels it names.

Layouts: https://nifti.nimh.nih.gov and https://surfer.nmr.mgh.harvard.edu/fswiki/FsTutorial/MghFormat;
the fields are parsed with nibabel, the voxels are streamed (see `runtime.scan.stream`).
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.freesurfer.mghformat import MGHHeader
from nibabel.spatialimages import HeaderDataError
from numpy.typing import NDArray

from fmtool.errors import InputError
from runtime.scan.header import Header, one_volume, real, times, voxel_sizes
from runtime.scan.stream import Stream

_UNITS = {1: "m", 2: "mm", 3: "um"}
_MGH_BYTES = 284
_MGH_GOOD_RAS = slice(28, 30)
_MGH_VERSION = (1).to_bytes(4, "big")
_MOST_EXTENSIONS = 1 << 26  # bytes between the header and the voxels
_DICOM_AT = 128


def read(path: Path) -> tuple[Header, NDArray[Any]]:
    """The header and the voxels as stored (x, y, z), in Fortran order, not scaled.

    Raises:
        InputError: if it is no volume, not one real-valued 3D volume, or damaged.
    """
    with Stream(path) as stream:
        header = read_header(stream)
        data = np.empty(header.data_bytes, dtype=np.uint8)  # pages are taken as they are filled
        count = stream.fill(data.data)
        if count < header.data_bytes:
            raise InputError(
                f"{path} is cut off: its header promises {header.data_bytes} bytes of voxels, "
                f"{count} are there; copy it again"
            )
        plane = header.data_bytes // max(header.shape)
        if stream.rest(plane) == plane:
            raise InputError(
                f"{path} holds more voxels than the {times(header.shape)} its header names; "
                "convert it again from its DICOM files"
            )
    return header, data.view(header.dtype).reshape(header.shape, order="F")


def read_header(stream: Stream) -> Header:
    """The header at the start of `stream`, which then stands at the first voxel.

    Raises:
        InputError: see `read`; also if the file cannot hold the voxels that the header promises.
    """
    path = stream.path
    start = stream.read(4)
    if start == _MGH_VERSION:
        header = _mgh(path, start + stream.read(_MGH_BYTES - 4))
        done = _MGH_BYTES
    else:
        done = _nifti_bytes(start)
        header = _nifti(path, start + stream.read((done or 348) - 4))
    needed = header.offset + header.data_bytes
    if needed > stream.most_bytes:
        held = f"{stream.file_bytes} {'compressed ' if stream.gzipped else ''}bytes"
        raise InputError(
            f"{path} is cut off: its header promises {times(header.shape)} voxels, {needed} bytes, "
            f"which its {held} cannot hold; copy it again"
        )
    stream.rest(header.offset - done)
    return header


def _nifti_bytes(start: bytes) -> int:
    """The length of the NIfTI header that begins so; 0 if none does."""
    for size in (348, 540):
        if start in (size.to_bytes(4, "little"), size.to_bytes(4, "big")):
            return size
    return 0


def _nifti(path: Path, block: bytes) -> Header:
    size = _nifti_bytes(block[:4])
    if not size or len(block) < size:
        raise InputError(f"{path} is not a NIfTI file{_instead(block)}")
    magic = block[344:347] if size == 348 else block[4:7]
    if magic in (b"ni1", b"ni2"):
        raise InputError(f"{path} is half of a .hdr/.img pair; convert the pair to one .nii.gz")
    if magic not in (b"n+1", b"n+2"):
        raise InputError(
            f"{path} is an Analyze file, which does not tell left from right; convert the scan to "
            "NIfTI from its DICOM files"
        )
    raw = (nib.Nifti1Header if size == 348 else nib.Nifti2Header)(block, check=False)
    rank = int(raw["dim"][0])
    shape = one_volume(path, [int(n) for n in raw["dim"][1 : 1 + min(max(rank, 0), 7)]])
    dtype = real(path, _dtype(path, raw, "datatype"))
    offset = float(raw["vox_offset"])
    if not size <= offset <= _MOST_EXTENSIONS:
        raise InputError(f"{path} is damaged: its header puts the voxels at byte {offset:g}")
    slope, inter = float(raw["scl_slope"]), float(raw["scl_inter"])
    if slope == 0.0 or not math.isfinite(slope) or not math.isfinite(inter):
        slope, inter = 1.0, 0.0  # the format's way of saying "not scaled"
    pixdim = voxel_sizes(path, raw["pixdim"][1:4])
    units = _UNITS.get(int(raw["xyzt_units"]) & 7, "unknown")
    frames, damaged = _frames(raw)
    return Header(shape, dtype, int(offset), slope, inter, pixdim, units, frames, damaged)


def _frames(raw: Any) -> tuple[dict[str, NDArray[np.float64]], tuple[str, ...]]:
    """The frames that are set, the sform first, and the names of those that hold nonsense."""
    frames = {"sform": raw.get_sform()} if int(raw["sform_code"]) > 0 else {}
    if int(raw["qform_code"]) > 0:
        if raw["pixdim"][0] == 0:
            raw["pixdim"][0] = 1  # the standard: an absent qfac means 1
        try:
            frames["qform"] = raw.get_qform()
        except (HeaderDataError, ValueError):  # no rotation has such a quaternion
            frames["qform"] = np.full((4, 4), np.nan)
    damaged = tuple(name for name, affine in frames.items() if not np.isfinite(affine).all())
    return {n: np.asarray(a) for n, a in frames.items() if n not in damaged}, damaged


def _mgh(path: Path, block: bytes) -> Header:
    if len(block) < _MGH_BYTES:
        raise InputError(f"{path} is cut off inside its header; copy it again")
    raw = MGHHeader(block, check=False)
    shape = one_volume(path, [int(n) for n in raw["dims"]])
    dtype = real(path, _dtype(path, raw, "type"))
    sizes = voxel_sizes(path, raw["delta"])
    good = int.from_bytes(block[_MGH_GOOD_RAS], "big") == 1  # nibabel fills in a default if not
    with np.errstate(over="ignore"):  # an impossible position is refused with the geometry
        frames = {"mgh": np.asarray(raw.get_affine())} if good else {}
    return Header(shape, dtype, _MGH_BYTES, 1.0, 0.0, sizes, "mm", frames)


def _dtype(path: Path, raw: Any, field: str) -> np.dtype[Any]:
    try:
        dtype: np.dtype[Any] = raw.get_data_dtype()
    except (HeaderDataError, KeyError):
        raise InputError(
            f"{path} is damaged: its header names the unknown data type {int(raw[field])}"
        ) from None
    return dtype


def _instead(block: bytes) -> str:
    """What the file is instead, and what to do."""
    if block[_DICOM_AT : _DICOM_AT + 4] == b"DICM":
        return " but DICOM; name the folder of its series"
    if block.startswith(b"PK"):
        return " but a zip archive; unpack it, and convert a DICOM series to NIfTI"
    return "; name a .nii, .nii.gz or .mgz file"
