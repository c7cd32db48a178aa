"""The registration's fixed image: the bundle's MNI152 brain on the model's grid."""

from __future__ import annotations

import os
import zlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError
from numpy.typing import NDArray

from fmtool import space
from fmtool.bundle import DEMO, Bundle
from fmtool.errors import BundleError

_GZIP = b"\x1f\x8b"
_DAMAGED = (
    *(ImageFileError, HeaderDataError, WrapStructError),
    *(OSError, EOFError, ValueError, zlib.error),
)
_MOST_BYTES = 1 << 28  # of a volume on the model's grid, in whatever type


@dataclass(frozen=True, eq=False)
class Template:
    """A brain in MNI RAS mm, zero outside.

    Attributes:
        array: float32 (x, y, z).
        affine: 4x4, voxel (x, y, z) -> MNI RAS mm.
    """

    array: NDArray[np.float32]
    affine: NDArray[np.float64]

    @cached_property
    def mask(self) -> NDArray[np.bool_]:
        """The brain: every voxel above zero, (x, y, z)."""
        return self.array > 0

    @cached_property
    def crop(self) -> NDArray[np.float32]:
        """The template as the network's crop (z, y, x); only for one on the model's grid."""
        return np.ascontiguousarray(space.to_crop(self.array), dtype=np.float32)

    @classmethod
    def load(cls, path: str | os.PathLike[str] | None = None) -> Template:
        """Read a template on the model's grid; the demonstration bundle's when `path` is absent.

        Raises:
            BundleError: if it is missing, unreadable, or not on the model's grid.
        """
        source = Path(path) if path is not None else DEMO / "template.nii.gz"
        try:
            data = source.read_bytes()
        except FileNotFoundError:
            raise BundleError(f"template {source} does not exist; copy the bundle anew") from None
        except OSError as error:
            raise BundleError(f"template {source} is unreadable ({error})") from None
        return cls._of(data, source)

    @classmethod
    def of(cls, bundle: Bundle) -> Template:
        """A bundle's template.

        Raises:
            BundleError: if it has changed since the bundle was opened; see `load`.
        """
        return cls._of(bundle.read(bundle.manifest.template), bundle.template)

    @classmethod
    def _of(cls, data: bytes, source: Path) -> Template:
        try:
            if data.startswith(_GZIP):
                data = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(data, _MOST_BYTES)
            image = nib.Nifti1Image.from_bytes(data)
            array = np.asarray(image.dataobj, dtype=np.float32)
        except _DAMAGED as error:
            raise BundleError(f"template {source} is unreadable ({error})") from None
        affine = np.asarray(image.affine, dtype=np.float64)
        if array.shape != space.GRID_SHAPE or not np.allclose(affine, space.grid_affine()):
            raise BundleError(f"template {source} is not on the model's grid {space.GRID_SHAPE}")
        return cls(array, affine)
