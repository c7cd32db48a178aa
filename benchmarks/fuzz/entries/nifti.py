"""NIfTI-1, NIfTI-2 and MGH files, compressed or not: `runtime.scan.read`."""

from __future__ import annotations

import bz2
import gzip
from pathlib import Path

import nibabel as nib
import numpy as np

from benchmarks.fuzz.entry import Entry
from runtime import scan

_AFFINE = np.array([[-1.2, 0, 0, 9], [0, 0, 1.1, -8], [0, 1.3, 0, -7], [0, 0, 0, 1]])
_SHAPE = (18, 17, 16)


def _seeds() -> list[bytes]:
    voxels = np.arange(np.prod(_SHAPE)).reshape(_SHAPE) % 251
    plain = [
        kind(voxels.astype(number), _AFFINE).to_bytes()
        for kind in (nib.Nifti1Image, nib.Nifti2Image)
        for number in (np.uint8, np.int16, np.float32, np.float64)
    ]
    scaled = nib.Nifti1Image(voxels.astype(np.int16), _AFFINE)
    scaled.header.set_slope_inter(2.0, -3.0)
    scaled.set_qform(_AFFINE, code=1)
    scaled.set_sform(None, code=0)
    big = nib.Nifti1Image(voxels.astype(">i2"), _AFFINE, nib.Nifti1Header(endianness=">"))
    mgh = nib.MGHImage(voxels.astype(np.float32), _AFFINE)
    plain += [scaled.to_bytes(), big.to_bytes(), mgh.to_bytes()]
    packed = [gzip.compress(data, mtime=0) for data in plain]
    return plain + packed + [bz2.compress(data) for data in plain]


def _trial(data: bytes, folder: Path) -> None:
    file = folder / "scan.nii.gz"
    file.write_bytes(data)
    scan.read(file)


_NUMBERS = (float("nan"), float("inf"), 0.0, -1.0, 1e-40, 1e38, 352.0)
_TOKENS = [np.float32(n).tobytes() for n in _NUMBERS] + [b"n+1\0", b"ni1\0", b"n+2\0\r\n\x1a\n"]
_TOKENS += [np.array(dim, np.int16).tobytes() for dim in ([3, 16], [4, 18, 17, 16, 2], [7, -1])]

ENTRY = Entry(_seeds, _trial, tuple(_TOKENS))
