"""The anatomy that every synthetic head is a deformation of, from the MNI152 tissue maps.

The maps are averages of many people and blurred as averages are. Cutting them at one half, with
an edge one voxel wide, gives back a brain with sharp folds; keeping the distance to that edge
lets the cortex be thinned by any amount.

Source: nilearn's `mni_icbm152_{gm,wm}_tal_nlin_sym_09a_converted.nii.gz` (ICBM 152 nonlinear
symmetric 2009a, McConnell Brain Imaging Centre).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Array = NDArray[np.float32]
Bool = NDArray[np.bool_]

_FILE = "mni_icbm152_{}_tal_nlin_sym_09a_converted.nii.gz"
_CLOSING = 10  # mm: bridges the sulci and the ventricles, so that the hull is what the skull holds
_MARGIN = 12  # mm around the hull
_DEEP = 25.0  # mm below the hull: the fluid there that is connected is the lateral ventricles
_BODY = 3  # mm around the ventricles that may become ventricle when the tissue recedes
_SMOOTH = 0.7  # voxels, of the distances, which are those of a staircase otherwise


@dataclass(frozen=True)
class Anatomy:
    """What an average head is made of; arrays (x, y, z), 1 mm.

    Attributes:
        affine: 4x4, voxel -> MNI RAS mm.
        depth: mm below the surface of the grey and white matter, negative in the fluid.
        grey: of that tissue, the share that is grey matter, 0 to 1.
        hull: 1 inside the skull's inner surface, 0 outside, an edge one voxel wide.
        ventricles: 1 in and next to the lateral ventricles, else 0.
        outward: (3, x, y, z) RAS, at most 1 long: where the ventricles' walls move in ageing.
    """

    affine: NDArray[np.float64]
    depth: Array
    grey: Array
    hull: Array
    ventricles: Array
    outward: Array


def load(wall_mm: float = 7.0) -> Anatomy:
    """Build the anatomy, which takes some seconds.

    Args:
        wall_mm: how far from the ventricles the tissue still moves with them, as the standard
            deviation of a Gaussian.
    """
    grey, white, affine = _maps()
    tissue = grey + white
    hull = _hull(tissue > 0.5)
    box = tuple(slice(a.min(), a.max() + 1) for a in np.nonzero(hull))
    tissue, grey, hull = (np.pad(a[box], _MARGIN) for a in (tissue, grey, hull))
    affine[:3, 3] += [b.start - _MARGIN for b in box]

    ventricles = _lateral_ventricles(hull & (tissue < 0.5), hull)
    share = np.divide(grey, tissue, out=np.ones_like(grey), where=tissue > 0.05)
    blurred = ndimage.gaussian_filter(ventricles.astype(np.float32), wall_mm)
    outward = -np.stack(np.gradient(blurred))
    outward /= np.linalg.norm(outward, axis=0).max()
    near = ndimage.binary_dilation(ventricles, iterations=_BODY)
    return Anatomy(
        affine,
        _distance(tissue > 0.5),
        np.clip(0.5 + 3.0 * (share - 0.5), 0.0, 1.0).astype(np.float32),
        np.clip(0.5 + _distance(hull), 0.0, 1.0),
        near.astype(np.float32),
        outward.astype(np.float32),
    )


def _maps() -> tuple[Array, Array, NDArray[np.float64]]:
    """Grey and white matter as fractions of a voxel, and their affine."""
    import nilearn

    folder = Path(nilearn.__file__).parent / "datasets" / "data"
    images = [nib.load(folder / _FILE.format(tissue)) for tissue in ("gm", "wm")]
    grey, white = (np.asarray(image.dataobj, dtype=np.float32) / 255.0 for image in images)
    return grey, white, np.array(images[0].affine, dtype=np.float64)


def _hull(tissue: Bool) -> Bool:
    padded = np.pad(tissue, 2 * _CLOSING)
    # Two distances do what twenty steps of dilation and erosion would.
    grown = ndimage.distance_transform_edt(~padded) <= _CLOSING
    closed = ndimage.distance_transform_edt(grown) > _CLOSING
    inner = slice(2 * _CLOSING, -2 * _CLOSING)
    return np.asarray(ndimage.binary_fill_holes(closed)[inner, inner, inner], dtype=np.bool_)


def _lateral_ventricles(fluid: Bool, hull: Bool) -> Bool:
    deep = fluid & (ndimage.distance_transform_edt(hull) > _DEEP)
    labels, _ = ndimage.label(deep)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return np.asarray(labels == sizes.argmax(), dtype=np.bool_)


def _distance(inside: Bool) -> Array:
    """Signed mm to the edge between voxels inside and outside, positive inside."""
    within = ndimage.distance_transform_edt(inside)
    without = ndimage.distance_transform_edt(~inside)
    edge = np.where(inside, within - 0.5, 0.5 - without)
    return np.asarray(ndimage.gaussian_filter(edge, _SMOOTH), dtype=np.float32)
