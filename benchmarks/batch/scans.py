"""Folders of scans that are all different and cost the same, and a bundle that answers at once."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np

from fmtool import bundle as bundles
from fmtool import space


def copies(scan: Path, count: int, folder: Path) -> Path:
    """A folder with `count` copies of a scan whose headers differ: as many contents, equal work."""
    folder.mkdir(parents=True)
    image = nib.load(scan)
    for number in range(count):
        image.header["descrip"] = f"copy {number}"
        nib.save(image, folder / f"scan-{number:02}.nii.gz")
    return folder


def prepared(count: int, folder: Path) -> Path:
    """A folder with `count` variants of the template as TurboPrep would have left it."""
    voxels = np.asarray(nib.load(bundles.DEMO / "template.nii.gz").dataobj).astype(np.float32)
    for number in range(count):
        one = folder / f"head-{number:02}"
        one.mkdir(parents=True)
        for name, array in (("normalized", voxels), ("mask", (voxels > 0).astype(np.float32))):
            image = nib.Nifti1Image(array, space.grid_affine())
            image.header["descrip"] = f"variant {number}"
            nib.save(image, one / f"{name}.nii.gz")
        # So that the answers differ, and a result that went to the wrong scan would show.
        voxels = np.where(voxels > 0, voxels + np.float32(2.0), 0).astype(np.float32)
    return folder


def tiny_bundle(folder: Path) -> Path:
    """A bundle whose encoder is as narrow as can be, exported on the first call."""
    target = folder / "tiny.fmtool"
    if not target.exists():
        import torch

        from export.pack import pack
        from fmtool import task
        from training import encoders
        from training.evidence.head import Head

        torch.manual_seed(1)
        encoder = encoders.build("resnet18", width=1 / 64).eval()
        weight = np.ones(512 // 64)
        evidence = {"beats_baseline": False, "baseline_name": "none: random weights"}
        heads = [Head(task.get("age"), weight, 40.0, evidence, encoder_sha256="")]
        pack(target, encoder, heads, name="tiny random weights")
    return target
