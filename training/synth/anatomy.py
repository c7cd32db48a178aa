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
from scipy.special import ndtri

Array = NDArray[np.float32]
Bool = NDArray[np.bool_]

_FILE = "mni_icbm152_{}_tal_nlin_sym_09a_converted.nii.gz"
_CLOSING = 10  # mm: bridges the sulci and the ventricles, so that the hull is what the skull holds
_MARGIN = 14  # mm around the tissue: more than the closing
_DEEP = 25.0  # mm below the hull: the fluid there that is connected is the lateral ventricles
_BODY = 3  # mm around the ventricles that may become ventricle when the tissue recedes
_EDGE_MM = 0.8  # standard deviation of the Gaussian that tells the distance to an edge
_WALL_MM = 7.0  # likewise: how far from the ventricles the tissue still moves with their walls


@dataclass(frozen=True)
class Anatomy:
    """What an average head is made of; arrays (x, y, z), 1 mm.

    Attributes:
        affine: 4x4, voxel -> MNI RAS mm.
        depth: mm below the surface of the grey and white matter, negative in the fluid.
        grey: of that tissue, the share that is grey matter, 0 to 1.
        below_hull: mm below the surface that closes the sulci, negative outside: where a skull
            strip would cut.
        ventricles: 1 in and next to the lateral ventricles, else 0.
        outward: (3, x, y, z) RAS, at most 1 long: where the ventricles' walls move in ageing.
    """

    affine: NDArray[np.float64]
    depth: Array
    grey: Array
    below_hull: Array
    ventricles: Array
    outward: Array


def load() -> Anatomy:
    """Build the anatomy, which takes some seconds."""
    grey, white, affine = _maps()
    tissue = grey + white
    box = tuple(slice(a.min(), a.max() + 1) for a in np.nonzero(tissue > 0.5))
    tissue, grey = (np.pad(a[box], _MARGIN) for a in (tissue, grey))
    affine[:3, 3] += [b.start - _MARGIN for b in box]

    below_hull = _below_hull(tissue > 0.5)
    ventricles = _lateral_ventricles((tissue < 0.5) & (below_hull > _DEEP))
    share = np.divide(grey, tissue, out=np.ones_like(grey), where=tissue > 0.05)
    blurred = ndimage.gaussian_filter(ventricles.astype(np.float32), _WALL_MM)
    outward = -np.stack(np.gradient(blurred))
    outward /= np.linalg.norm(outward, axis=0).max()
    near = ndimage.binary_dilation(ventricles, iterations=_BODY)
    return Anatomy(
        affine,
        _depth(tissue > 0.5),
        np.clip(0.5 + 3.0 * (share - 0.5), 0.0, 1.0).astype(np.float32),
        below_hull,
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


def _below_hull(tissue: Bool) -> Array:
    """Mm below the surface that closes the sulci and the ventricles; negative outside."""
    # At 2 mm, as the surface is smooth and distances are slow to find: dilation, then erosion.
    coarse = ndimage.zoom(tissue.astype(np.float32), 0.5, order=1) >= 0.5
    grown = 2.0 * ndimage.distance_transform_edt(~coarse) <= _CLOSING
    below = 2.0 * ndimage.distance_transform_edt(grown).astype(np.float32) - _CLOSING
    factors = [n / m for n, m in zip(tissue.shape, below.shape, strict=True)]
    return np.asarray(ndimage.zoom(below, factors, order=1), dtype=np.float32)


def _lateral_ventricles(deep: Bool) -> Bool:
    labels, _ = ndimage.label(deep)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return np.asarray(labels == sizes.argmax(), dtype=np.bool_)


def _depth(inside: Bool) -> Array:
    """Signed mm to the edge of a mask, positive inside, right within some 2 mm of it.

    A Gaussian of a flat edge is the normal distribution of the distance, which is read back.
    """
    blurred = ndimage.gaussian_filter(inside.astype(np.float32), _EDGE_MM)
    far = np.float32(1e-3)
    return np.asarray(_EDGE_MM * ndtri(blurred.clip(far, 1.0 - far)), dtype=np.float32)
