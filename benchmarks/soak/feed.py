"""What goes into the inbox: studies that all differ, every tenth input broken in another way."""

from __future__ import annotations

import gzip
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from benchmarks.soak import SETTLE_S
from fmtool import bundle as bundles
from fmtool import space


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


EVERY = 10
"""One input of so many is corrupt."""

_DESCRIPTION = slice(148, 228)  # of a NIfTI-1 header: free text that no result depends on


@dataclass
class Feed:
    """What was put into the inbox.

    Attributes:
        good: names of studies to be answered.
        bad: names of what must be put aside, with the kind of damage.
    """

    inbox: Path
    heads: list[bytes]
    good: list[str] = field(default_factory=list)
    bad: dict[str, str] = field(default_factory=dict)

    def one(self) -> None:
        """Put in the next input; every seventh is still growing when it is first seen."""
        number = len(self.good) + len(self.bad)
        if number % EVERY == EVERY - 1:
            kinds = list(KINDS)
            kind = kinds[len(self.bad) % len(kinds)]
            name = f"bad{number:06d}.nii"
            KINDS[kind](self.inbox / name, self._head(number))
            self.bad[name] = kind
        else:
            name = f"good{number:06d}"
            data = self._head(number)
            if len(self.heads) > 1:  # TurboPrep's two files
                folder = self.inbox / name
                folder.mkdir()
                (folder / "normalized.nii.gz").write_bytes(gzip.compress(data, 1))
                (folder / "mask.nii.gz").write_bytes(gzip.compress(self.heads[1], 1))
            else:
                name += ".nii"
                with (self.inbox / name).open("wb") as stream:
                    stream.write(data[: len(data) // 2])
                    if number % 7 == 0:
                        stream.flush()
                        time.sleep(SETTLE_S / 2)
                    stream.write(data[len(data) // 2 :])
            self.good.append(name)

    def _head(self, number: int) -> bytes:
        data = bytearray(self.heads[0])
        data[_DESCRIPTION] = (b"soak %06d" % number).ljust(80, b"\0")
        return bytes(data)


def heads(scan: Path | None) -> list[bytes]:
    """A head as uncompressed NIfTI-1, or the bundle's template with its mask, as TurboPrep's."""
    if scan is not None:
        image = nib.Nifti1Image.from_filename(scan)
        array = np.asarray(image.dataobj, dtype=np.float32)
        return [nib.Nifti1Image(array, image.affine).to_bytes()]
    voxels = np.asarray(nib.Nifti1Image.from_filename(bundles.DEMO / "template.nii.gz").dataobj)
    parts = (voxels.astype(np.float32), (voxels > 0).astype(np.uint8))
    return [nib.Nifti1Image(part, space.grid_affine()).to_bytes() for part in parts]
