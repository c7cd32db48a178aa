"""Volumes that were prepared elsewhere, as the paper's CSV names them: image and mask files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fmtool import space
from fmtool.errors import InputError
from runtime import quality
from runtime.preprocess import intensity
from runtime.scan import Scan
from runtime.scan import read as read_scan
from runtime.store.entry import MadeScan

_TOLERANCE = 0.01  # mm between where two files put a voxel


def read(image: Path, mask: Path) -> MadeScan:
    """The model's crop of a volume and its mask, both on the template's grid already.

    Args:
        image: TurboPrep's `normalized.nii.gz`, under any name; any intensities.
        mask: its brain mask, above zero inside.

    Returns:
        volume, float32 (150, 192, 192) z, y, x, zero outside the mask; mask, bool; facts: "head",
        "brain_volume_ml".

    Raises:
        InputError: if either is unreadable or not on the grid, or a check refused their scan.
    """
    refused = " ".join(check.sentence for check in quality.refusals(image.parent))
    if refused:
        raise InputError(f"{image} was prepared from a scan that is refused: {refused}")
    volume, inside = _on_grid(image, "volume"), _on_grid(mask, "mask") > 0
    volume = intensity.despike(intensity.level(volume), inside)
    crop_mask = np.ascontiguousarray(space.to_crop(inside)).astype(bool)
    crop = np.where(crop_mask, space.to_crop(volume), 0.0).astype(np.float32)
    facts = {"head": "prepared", "brain_volume_ml": float(inside.sum()) / 1000.0}
    return MadeScan(crop, crop_mask, facts)


def _on_grid(path: Path, what: str) -> NDArray[np.float32]:
    scan: Scan = read_scan(path)
    if scan.array.shape != space.GRID_SHAPE or not np.allclose(
        scan.affine, space.grid_affine(), atol=_TOLERANCE
    ):
        raise InputError(
            f"{path} is listed as a prepared {what} but is not on the MNI152 2009c grid "
            f"{space.GRID_SHAPE}; leave mask_path empty to have the raw scan prepared"
        )
    return scan.array
