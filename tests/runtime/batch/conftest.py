"""Heads that cost little: the bundle's template as TurboPrep would have left it, in variants."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from fmtool import bundle, space


@pytest.fixture(scope="session")
def heads(tmp_path_factory):
    """Three folders of TurboPrep's files in one folder, each with content of its own."""
    top = tmp_path_factory.mktemp("heads")
    voxels = np.asarray(nib.load(bundle.DEMO / "template.nii.gz").dataobj).astype(np.float32)
    for number in range(3):
        folder = top / f"head-{number}"
        folder.mkdir()
        for name, array in (("normalized", voxels * (1 + number)), ("mask", voxels > 0)):
            image = nib.Nifti1Image(array.astype(np.float32), space.grid_affine())
            nib.save(image, folder / f"{name}.nii.gz")
    return top
