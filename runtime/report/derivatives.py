"""The files of a prepared scan that other programs go on with, on the template's grid."""

from __future__ import annotations

import gzip

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from fmtool import space
from runtime.prepare import Ready
from runtime.preprocess import resample
from runtime.preprocess.pipeline import Prepared
from runtime.transform import to_itk

PREPROC, MASK, TRANSFORM = "preproc.nii.gz", "mask.nii.gz", "xfm.txt"


def volumes(ready: Ready) -> dict[str, bytes]:
    """The brain, its mask and the transform to them, by name.

    * `PREPROC`: float32 on the template's full grid (193, 229, 193), MNI RAS, N4-corrected in the
      scan's own intensities, zero outside the brain.
    * `MASK`: uint8 on that grid.
    * `TRANSFORM`: ITK text, as ANTs applies it to the scan's file (`to_itk`); absent where ITK
      cannot tell the file's place.
    """
    grid, mask = on_grid(ready.prepared)
    files = {
        PREPROC: _packed(image(grid)),
        MASK: _packed(image(mask.astype(np.uint8))),
    }
    if ready.itk is not None:
        files[TRANSFORM] = to_itk(ready.itk @ ready.prepared.transform).encode()
    return files


def on_grid(prepared: Prepared) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """The corrected scan and its brain mask on the template's grid (193, 229, 193), MNI RAS."""
    place = prepared.affine, prepared.transform
    mask = resample.to_grid(prepared.brain.astype(np.float32), *place) >= 0.5
    grid = resample.to_grid(prepared.corrected, *place, resample.ORDER, mask)
    return grid, mask


def image(array: NDArray[np.generic]) -> nib.Nifti1Image:
    """An array of the template's grid as an image that says so, in mm."""
    affine, header = space.grid_affine(), nib.Nifti1Header()
    header.set_xyzt_units("mm")
    made = nib.Nifti1Image(array, affine, header)
    made.set_sform(affine, code="mni")
    made.set_qform(affine, code="mni")
    return made


def _packed(made: nib.Nifti1Image) -> bytes:
    return gzip.compress(made.to_bytes(), 1, mtime=0)  # the same scan gives the same bytes
