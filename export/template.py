"""The bundle's template: the MNI152 2009a symmetric brain of nilearn's wheel on the model's grid.

Both grids are 1 mm, RAS and aligned to whole millimetres, so voxels are moved, never
interpolated. The file serves twice: as the fixed image of the rigid registration, and as the
self-test volume, where its brain mask is `template > 0`; every brain voxel is at least 1.

Source: nilearn's `mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz` (ICBM 152 nonlinear
symmetric 2009a, McConnell Brain Imaging Centre), already brain-extracted, uint8.
"""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from fmtool import space

_T1 = "mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz"


def make_template() -> nib.Nifti1Image:
    """The template as a NIfTI image: uint8, `fmtool.space.GRID_SHAPE`, MNI RAS mm, 0 outside."""
    import nilearn

    source = nib.load(Path(nilearn.__file__).parent / "datasets" / "data" / _T1)
    brain = _place(np.asarray(source.dataobj), source.affine)
    mask = clean_mask(brain > 0)
    # nilearn's file squeezes the tissue contrast into 72..232; stretched, CSF is dark again.
    low, high = np.percentile(brain[mask], (0.5, 99.9))
    stretched = 1.0 + 254.0 * (brain.astype(np.float64) - low) / (high - low)
    voxels = np.where(mask, np.clip(np.rint(stretched), 1, 255), 0).astype(np.uint8)
    image = nib.Nifti1Image(voxels, space.grid_affine())
    image.set_sform(space.grid_affine(), code="mni")
    image.set_qform(space.grid_affine(), code="mni")
    image.header.set_xyzt_units("mm")
    return image


def template_bytes() -> bytes:
    """`make_template` as the bytes of a `.nii.gz` file, the same on every call (no timestamp)."""
    return gzip.compress(make_template().to_bytes(), compresslevel=9, mtime=0)


def licence() -> str:
    """The template's copyright notice, which every copy must carry."""
    return (Path(__file__).parent / "mni152_licence.txt").read_text(encoding="utf-8")


def clean_mask(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The largest connected component of a mask, opened by one voxel, its holes filled."""
    opened = _largest(ndimage.binary_opening(mask, ndimage.generate_binary_structure(3, 1)))
    return np.asarray(ndimage.binary_fill_holes(opened), dtype=np.bool_)


def _largest(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    labels, _ = ndimage.label(mask)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return np.asarray(labels == sizes.argmax())


def _place(voxels: NDArray[np.uint8], affine: NDArray[np.float64]) -> NDArray[np.uint8]:
    """`voxels` moved onto the model's grid by whole voxels, zero where they do not reach.

    Raises:
        ValueError: if the two grids are not related by a whole-voxel shift.
    """
    shift = np.linalg.inv(space.grid_affine()) @ affine
    offset = np.rint(shift[:3, 3]).astype(int)
    if not (np.allclose(shift[:3, :3], np.eye(3)) and np.allclose(shift[:3, 3], offset)):
        raise ValueError("the source is not on the grid of the model's template")
    grid = np.zeros(space.GRID_SHAPE, dtype=voxels.dtype)
    start = np.maximum(offset, 0)
    stop = np.minimum(offset + voxels.shape, space.GRID_SHAPE)
    target = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
    origin = tuple(slice(a, b) for a, b in zip(start - offset, stop - offset, strict=True))
    grid[target] = voxels[origin]
    return grid
