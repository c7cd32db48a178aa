"""Inputs that must be put aside, each broken in another way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np


def _cut(path: Path, head: bytes) -> None:
    path.write_bytes(head[: len(head) // 3])


def _nan(path: Path, head: bytes) -> None:
    image = nib.Nifti1Image.from_bytes(head)
    voxels = np.asarray(image.dataobj, dtype=np.float32).copy()
    voxels[::5] = np.nan
    path.write_bytes(nib.Nifti1Image(voxels, image.affine).to_bytes())


def _constant(path: Path, head: bytes) -> None:
    path.write_bytes(head[:352] + head[352:356] * ((len(head) - 352) // 4))


def _claims(path: Path, head: bytes) -> None:
    path.write_bytes(head[:42] + (30000).to_bytes(2, "little") * 3 + head[48:])


def _folder(path: Path, head: bytes) -> None:
    path.mkdir()
    (path / "notes.txt").write_bytes(head[:100])


KINDS: dict[str, Any] = {
    "cut off": _cut,
    "no image": lambda path, head: path.write_bytes(b"no image " + head[148:228]),
    "NaN": _nan,
    "constant": _constant,
    "claims 2e13 voxels": _claims,
    "folder without scan": _folder,
    "half a zip": lambda path, head: path.write_bytes(b"PK\x03\x04" + head[100:5000]),
    "link": lambda path, head: path.symlink_to("/etc/hostname"),
}
"""By kind, what writes such an input from a head's bytes."""
