"""Volumes that were prepared elsewhere are taken as they are, or refused."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from fmtool import space
from fmtool.errors import InputError
from training.store import turboprep


def test_prepared_files_are_read_as_they_are(tmp_path):
    rng = np.random.default_rng(0)
    mask = (rng.random(space.GRID_SHAPE) < 0.5).astype(np.uint8)
    volume = mask * (0.2 + 0.6 * rng.random(space.GRID_SHAPE, dtype=np.float32))
    nib.save(nib.Nifti1Image(volume, space.grid_affine()), tmp_path / "v.nii")
    nib.save(nib.Nifti1Image(mask, space.grid_affine()), tmp_path / "m.nii")
    entry = turboprep.read(tmp_path / "v.nii", tmp_path / "m.nii")
    np.testing.assert_array_equal(entry.mask, space.to_crop(mask) > 0)
    np.testing.assert_array_equal(entry.volume, space.to_crop(volume))
    assert entry.facts["brain_volume_ml"] == pytest.approx(mask.sum() / 1000)


def test_prepared_files_off_the_grid_are_refused(tmp_path):
    volume = np.random.default_rng(0).random((20, 20, 20), dtype=np.float32)
    nib.save(nib.Nifti1Image(volume, space.grid_affine()), tmp_path / "v.nii")
    with pytest.raises(InputError, match=r"v\.nii.*grid"):
        turboprep.read(tmp_path / "v.nii", tmp_path / "v.nii")
