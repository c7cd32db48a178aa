"""NIfTI-1, NIfTI-2 and FreeSurfer MGH volumes: the header first, then exactly the voxels it names.

Layouts: https://nifti.nimh.nih.gov and https://surfer.nmr.mgh.harvard.edu/fswiki/FsTutorial/MghFormat;
the fields are parsed with nibabel, the voxels are streamed (see `runtime.scan.stream`).
"""

from __future__ import annotations

import math
import os
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.freesurfer.mghformat import MGHHeader
from nibabel.spatialimages import HeaderDataError
from numpy.typing import NDArray

from fmtool.errors import InputError
from runtime.scan import itk
from runtime.scan.header import Header, one_volume, real, times
from runtime.scan.stream import COMPRESSED, Stream

HEADERS = tuple(f".hdr{packed}" for packed in ("", *COMPRESSED))
ENDINGS = (*(f".nii{packed}" for packed in ("", *COMPRESSED)), ".mgz", ".mgh", *HEADERS)
"""How the names of volumes end, a pair's by its header; what is in them decides."""

_UNITS = {1: "m", 2: "mm", 3: "um"}
_MGH_BYTES = 284
_MGH_GOOD_RAS = slice(28, 30)
_MGH_VERSION = (1).to_bytes(4, "big")
_MOST_EXTENSIONS = 1 << 26  # bytes between the header and the voxels
_DICOM_AT = 128


def read(path: Path) -> tuple[Header, NDArray[Any]]:
    """The header and the voxels as stored (x, y, z), in Fortran order, not scaled.

    Args:
        path: of the file, or of either one of a .hdr/.img pair.

    Raises:
        InputError: if it is no volume, not one real-valued 3D volume, or damaged.
    """
    files = files_of(path)
    first, last = files[0], files[-1]
    with ExitStack() as stack:
        stream = stack.enter_context(Stream(first))
        header, done, apart = _header(stream)
        if apart and first == last:
            name = first.with_name(_other(first.name, ".img")).name
            raise InputError(f"{path} is half of a pair: {name} is not beside it; copy both files")
        if apart:
            stream, done = stack.enter_context(Stream(last)), 0
        _check_size(stream, header)
        stream.rest(header.offset - done)
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


def files_of(path: Path) -> list[Path]:
    """The files of a volume: itself, or a pair's header and voxels, whichever of them is named."""
    pair = [path.with_name(_other(path.name, ending)) for ending in (".hdr", ".img")]
    both = pair[0] != pair[1] and path in pair and all(map(os.path.lexists, pair))
    return pair if both else [path]


def _other(name: str, ending: str) -> str:
    """The name of a pair's file with that ending; the name itself if it is of no pair."""
    packed = next((end for end in COMPRESSED if name.lower().endswith(end)), "")
    stem = name[: len(name) - len(packed)]
    if not stem.lower().endswith((".hdr", ".img")):
        return name
    ending = ending.upper() if stem[-3:].isupper() else ending
    return stem[:-4] + ending + name[len(stem) :]


def _header(stream: Stream) -> tuple[Header, int, bool]:
    """The header at the start of `stream`, its length, whether the voxels are in another file."""
    start = stream.read(4)
    if start == _MGH_VERSION:
        return _mgh(stream.path, start + stream.read(_MGH_BYTES - 4)), _MGH_BYTES, False
    done = _nifti_bytes(start)
    header, apart = _nifti(stream.path, start + stream.read((done or 348) - 4))
    return header, done, apart


def _check_size(stream: Stream, header: Header) -> None:
    """Refuse a file that cannot hold the voxels that its header promises."""
    needed = header.offset + header.data_bytes
    if stream.most_bytes is not None and needed > stream.most_bytes:
        held = f"{stream.file_bytes} {'compressed ' if stream.compressed else ''}bytes"
        raise InputError(
            f"{stream.path} is cut off: its header promises {times(header.shape)} voxels, {needed} "
            f"bytes, which its {held} cannot hold; copy it again"
        )


def _nifti_bytes(start: bytes) -> int:
    """The length of the NIfTI header that begins so; 0 if none does."""
    for size in (348, 540):
        if start in (size.to_bytes(4, "little"), size.to_bytes(4, "big")):
            return size
    return 0


def _nifti(path: Path, block: bytes) -> tuple[Header, bool]:
    size = _nifti_bytes(block[:4])
    if not size or len(block) < size:
        raise InputError(f"{path} is not a NIfTI file{_instead(block)}")
    magic = block[344:347] if size == 348 else block[4:7]
    if magic not in (b"n+1", b"n+2", b"ni1", b"ni2"):
        raise InputError(
            f"{path} is an Analyze file, which does not tell left from right; convert the scan to "
            "NIfTI from its DICOM files"
        )
    apart = magic[1:2] == b"i"
    raw = (nib.Nifti1Header if size == 348 else nib.Nifti2Header)(block, check=False)
    rank = int(raw["dim"][0])
    shape = one_volume(path, [int(n) for n in raw["dim"][1 : 1 + min(max(rank, 0), 7)]])
    dtype = real(path, _dtype(path, raw, "datatype"))
    offset = float(raw["vox_offset"])
    if not (0 if apart else size) <= offset <= _MOST_EXTENSIONS:
        raise InputError(f"{path} is damaged: its header puts the voxels at byte {offset:g}")
    slope, inter = float(raw["scl_slope"]), float(raw["scl_inter"])
    if slope == 0.0 or not math.isfinite(slope) or not math.isfinite(inter):
        slope, inter = 1.0, 0.0  # the format's way of saying "not scaled"
    pixdim = raw["pixdim"][1:4].astype(np.float64)
    units = _UNITS.get(int(raw["xyzt_units"]) & 7, "unknown")
    frames = _frames(raw)
    seen = itk.frame(frames.get("sform"), int(raw["sform_code"]), frames.get("qform"), pixdim)
    x, y, z = (float(v) for v in pixdim)
    header = Header(shape, dtype, int(offset), slope, inter, (x, y, z), units, frames)
    return replace(header, itk=seen), apart


def _frames(raw: Any) -> dict[str, NDArray[np.float64]]:
    """The frames that are set, the sform first; NaN where one is no orientation."""
    frames = {"sform": raw.get_sform()} if int(raw["sform_code"]) > 0 else {}
    if int(raw["qform_code"]) > 0:
        if raw["pixdim"][0] == 0:
            raw["pixdim"][0] = 1  # the standard: an absent qfac means 1
        try:
            frames["qform"] = raw.get_qform()
        except (HeaderDataError, ValueError):  # no rotation has such a quaternion
            frames["qform"] = np.full((4, 4), np.nan)
    return {name: np.asarray(affine, dtype=np.float64) for name, affine in frames.items()}


def _mgh(path: Path, block: bytes) -> Header:
    if len(block) < _MGH_BYTES:
        raise InputError(f"{path} is cut off inside its header; copy it again")
    raw = MGHHeader(block, check=False)  # fills in a frame and sizes where the flag is 0
    shape = one_volume(path, [int(n) for n in raw["dims"]])
    dtype = real(path, _dtype(path, raw, "type"))
    x, y, z = (float(v) for v in raw["delta"])
    flag = int.from_bytes(block[_MGH_GOOD_RAS], "big", signed=True)
    with np.errstate(over="ignore"):  # an impossible position is refused with the geometry
        frames = {"mgh": np.asarray(raw.get_affine())} if flag else {}
    header = Header(shape, dtype, _MGH_BYTES, 1.0, 0.0, (x, y, z), "mm", frames)
    if not flag:
        seen = itk.frame(None, 0, None, np.array([x, y, z]))
        return replace(header, unplaced="a goodRASFlag of 0", itk=seen)
    odd = f"Its goodRASFlag is {flag}, not 1; its orientation was used, as other readers use it."
    return replace(header, remarks=() if flag == 1 else (odd,))


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
    if block.startswith(b"/annex/objects/"):
        return " but git-annex's pointer to one; get the content with `git annex get`"
    if block.startswith(b"version https://git-lfs"):
        return " but Git LFS's pointer to one; get the content with `git lfs pull`"
    return "; name a .nii, .nii.gz or .mgz file"
