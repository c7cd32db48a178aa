"""The bundle's template, made from nilearn's MNI152 2009a symmetric tissue maps.

The file serves twice: as the fixed image of the rigid registration, and as the self-test volume,
where its brain mask is `template > 0`; every brain voxel is at least 1.

It has to give the pose that the reference pipeline's template (MNI152 2009c, T1) gives, while
nilearn carries 2009a only, with a T1 of weak contrast. Three measured choices see to that:

* Intensities come from the grey and white matter maps, not from the T1. Against a template of
  that T1, heads registered 1.5 mm away (median of 11) from where they lie on the reference one.
* The rim where neither tissue prevails is left out, as it is dark in the reference template.
* `_POSE` moves the tissue maps by 0.4 degrees and 0.2 mm onto the frame of the reference: the
  median difference over heads. What remains between the two templates' registrations of a head
  is 0.3 mm (median).

Source: nilearn's `mni_icbm152_{gm,wm}_tal_nlin_sym_09a_converted.nii.gz` (ICBM 152 nonlinear
symmetric 2009a, McConnell Brain Imaging Centre).
"""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from fmtool import space

_FILE = "mni_icbm152_{}_tal_nlin_sym_09a_converted.nii.gz"
_WHITE, _GREY, _OTHER = 250.0, 220.0, 20.0
_TISSUE = 0.5
# Of a voxel: less grey and white matter than that is outside the template's brain.

_ANGLES_DEG = (-0.23, -0.11, -0.37)
_SHIFT_MM = (0.06, 0.12, 0.17)
_ABOUT_MM = np.array([0.0, -20.0, 10.0])


def make_template() -> nib.Nifti1Image:
    """The template as a NIfTI image: uint8, `fmtool.space.GRID_SHAPE`, MNI RAS mm, 0 outside."""
    grey, white = (_on_grid(_FILE.format(tissue)) for tissue in ("gm", "wm"))
    mask = clean_mask(grey + white > _TISSUE)
    other = np.clip(1.0 - grey - white, 0.0, 1.0)
    brain = _WHITE * white + _GREY * grey + _OTHER * other
    voxels = np.where(mask, np.clip(np.rint(brain), 1, 255), 0).astype(np.uint8)
    image = nib.Nifti1Image(voxels, space.grid_affine())
    image.set_sform(space.grid_affine(), code="mni")
    image.set_qform(space.grid_affine(), code="mni")
    image.header.set_xyzt_units("mm")
    return image


def template_bytes() -> bytes:
    """`make_template` as the bytes of a `.nii.gz` file, the same on every call (no timestamp)."""
    return gzip.compress(make_template().to_bytes(), compresslevel=6, mtime=0)


def licence() -> str:
    """The template's copyright notice, which every copy must carry."""
    return (Path(__file__).parent / "mni152_licence.txt").read_text(encoding="utf-8")


def clean_mask(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A mask opened by one voxel, its largest connected component, holes filled."""
    opened = ndimage.binary_opening(mask, ndimage.generate_binary_structure(3, 1))
    labels, _ = ndimage.label(opened)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return np.asarray(ndimage.binary_fill_holes(labels == sizes.argmax()), dtype=np.bool_)


def pose() -> NDArray[np.float64]:
    """4x4, a point of the template (MNI RAS mm) -> the same point of nilearn's maps (RAS mm)."""
    x, y, z = np.deg2rad(_ANGLES_DEG)
    # The angles are so small that the order of the three rotations does not matter (1e-5 rad).
    turn_x = [[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]]
    turn_y = [[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]]
    turn_z = [[np.cos(z), -np.sin(z), 0], [np.sin(z), np.cos(z), 0], [0, 0, 1]]
    matrix = np.eye(4)
    matrix[:3, :3] = np.array(turn_x) @ np.array(turn_y) @ np.array(turn_z)
    matrix[:3, 3] = _ABOUT_MM + _SHIFT_MM - matrix[:3, :3] @ _ABOUT_MM
    return matrix


def _on_grid(name: str) -> NDArray[np.float64]:
    """One of nilearn's maps on the model's grid, trilinear, as a fraction of a voxel."""
    import nilearn

    source = nib.load(Path(nilearn.__file__).parent / "datasets" / "data" / name)
    mapping = np.linalg.inv(source.affine) @ pose() @ space.grid_affine()
    values = ndimage.affine_transform(
        np.asarray(source.dataobj, dtype=np.float64),
        mapping[:3, :3],
        mapping[:3, 3],
        output_shape=space.GRID_SHAPE,
        order=1,
    )
    return np.asarray(values / 255.0)
