"""MedicalNet's residual networks (Med3D, arXiv 1904.00625), as they were published and trained.

Names of a DataParallel, `module.conv1.weight` and on; shortcuts without a bias, convolutions ("B")
or, in its ResNet-18 and 34, zeros ("A"); a first convolution of stride 2. Its last two layers do
not halve the map but dilate by 2 and 4, which no weight tells: MONAI's `resnet` takes the same
weights and halves. Source: https://github.com/Tencent/MedicalNet, `models/resnet.py` and
`datasets/brains18.py`.
"""

from __future__ import annotations

from dataclasses import replace

from training.encoders.importers import residual
from training.encoders.importers.recognised import Recognised
from training.encoders.layout import Residual
from training.encoders.told import Told
from training.encoders.weights import CheckpointParts

CHANNELS = 64
"""Of the first convolution of every published one."""

_HEAD = ("conv_seg.", "fc.")


def is_of(parts: CheckpointParts, told: Told) -> bool:
    """Whether names and shapes are its; a stride that is told makes them MONAI's."""
    stem = parts.encoder.get("conv1.weight")
    return (
        told.stem_stride is None
        and told.max_pool is None
        and parts.wrapped
        and not parts.place
        and stem is not None
        and tuple(stem.shape) == (CHANNELS, 1, 7, 7, 7)
        and not any(name.endswith(".downsample.0.bias") for name in parts.encoder)
    )


def read(parts: CheckpointParts, where: str, told: Told) -> Recognised:
    """See `training.encoders.importers.read`."""
    kept = {name: t for name, t in parts.encoder.items() if not name.startswith(_HEAD)}
    found, _ = residual.infer(kept, where, 2)
    assert isinstance(found.layout, Residual)  # a first stride of 2 is none of upstream's
    layout = replace(found.layout, dilated=True)
    ours = told.said or "fmtool gives 150x192x192 voxels of 1 mm, as z-scores and zero outside"
    said = (
        "MedicalNet was trained on stretched volumes of many organs, z-scored above zero with "
        f"noise elsewhere; {ours}; its last two layers dilate, as it was trained: say "
        "--stem-stride 2 for MONAI's reading of the same weights, which halves."
    )
    dropped = sorted(name for name in parts.encoder if name not in kept)
    return Recognised(replace(found, layout=layout, own=told.own), kept, dropped, [said])
