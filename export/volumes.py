"""The volumes that the gates run: the template, and another one that is not the same."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel as nib
import numpy as np

from export.reference import Volume
from fmtool import space

_SHIFT = (4, -6, 5)
_GAMMA = 2.0


def template_volume(template: Path | bytes) -> Volume:
    """The template on the crop as float32 (z, y, x), and where it is above zero."""
    raw = template if isinstance(template, bytes) else template.read_bytes()
    image = nib.Nifti1Image.from_bytes(gzip.decompress(raw))
    crop = np.ascontiguousarray(space.to_crop(np.asarray(image.dataobj)), dtype=np.float32)
    return crop, (crop > 0).astype(np.float32)


def variant(volume: Volume) -> Volume:
    """The same brain some voxels away and with another contrast.

    Two rows of a batch that are the same would hide it if they changed places. A contrast that is
    linear in the old one would be the same volume to the model, whose z-score removes it.
    """
    intensities, mask = (np.roll(array, _SHIFT, axis=(0, 1, 2)) for array in volume)
    scale = max(float(intensities.max()), 1e-6)
    curved = scale * (intensities.clip(0.0) / scale) ** _GAMMA
    return curved.astype(np.float32), mask
