"""What the steps are given: networks and heads that are small enough for an emulator."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np

from benchmarks.batch.scans import prepared, tiny_bundle
from benchmarks.packages import made_series
from fmtool import bundle

SIDE = 64
"""Voxels along each side of what the strip network is given; it was made for 128."""


def make(folder: Path) -> Path:
    """All of them, once: two prepared heads, a bundle, a strip network, a head, its series."""
    if not (folder / ".made").exists():
        folder.mkdir(parents=True, exist_ok=True)
        prepared(2, folder / "prepared")
        tiny_bundle(folder)
        _strip(bundle.DEMO / "strip_locate.onnx", folder / "strip.onnx")
        rng = np.random.default_rng(0)
        np.save(folder / "strip.npy", rng.random((1, 1, SIDE, SIDE, SIDE), dtype=np.float32))
        _head(folder / "head.nii.gz")
        made_series.write(folder / "head.nii.gz", folder / "series")
        (folder / ".made").touch()
    return folder


def _strip(network: Path, target: Path) -> None:
    """The strip network for `SIDE` voxels."""
    import onnx

    model = onnx.load(network)
    for value in (*model.graph.input, *model.graph.output):
        for dimension in value.type.tensor_type.shape.dim[2:]:
            dimension.dim_value = SIDE
    del model.graph.value_info[:]
    onnx.save(model, target)


def _head(target: Path) -> None:
    """The template as a scan of 2 mm: what runs on it is the whole pipeline."""
    nib.save(nib.load(bundle.DEMO / "template.nii.gz").slicer[::2, ::2, ::2], target)
