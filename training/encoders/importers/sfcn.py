"""SFCN's published weights: `feature_extractor.conv_I.J.*`, and `classifier.*`, which is dropped.

Names, input and intensities are those of https://github.com/ha-ha-ha-han/UKBiobank_deep_pretrain
(`sfcn.py` and the examples): saved from a DataParallel, so below `module.`; UK Biobank's brains,
stripped and registered linearly to FSL's MNI152 at 1 mm, divided by their mean, and the centre
160x192x160 of 182x218x182 voxels.
"""

from __future__ import annotations

from torch import Tensor

from fmtool.errors import InputError, UsageError
from training.encoders.architecture import Architecture
from training.encoders.importers.recognised import Recognised
from training.encoders.layout import Plain
from training.encoders.own_input import FSL, MEAN, OwnInput
from training.encoders.told import Told
from training.encoders.weights import SFCN, CheckpointParts

INPUT = OwnInput((160, 192, 160), MEAN, FSL)

_BODY, _HEAD = "feature_extractor.", "classifier."


def is_of(parts: CheckpointParts, told: Told) -> bool:
    """Whether the tensors are an SFCN's."""
    del told
    return SFCN in parts.encoder


def read(parts: CheckpointParts, where: str, told: Told) -> Recognised:
    """See `training.encoders.importers.read`; channels may be others than the published ones.

    Raises:
        InputError: if blocks are missing, or too wide.
    """
    kernels: list[Tensor] = []
    while (kernel := parts.encoder.get(f"{_BODY}conv_{len(kernels)}.0.weight")) is not None:
        kernels.append(kernel)
    if any(kernel.ndim != 5 for kernel in kernels):
        raise InputError(f"{where} holds an SFCN whose convolutions are not of volumes")
    try:
        layout = Plain.read({"channels": [kernel.shape[0] for kernel in kernels]})
    except UsageError as error:
        raise InputError(f"{where} holds no SFCN that fmtool reads: {error}") from None
    own = told.own or INPUT
    said = (
        "SFCN was trained on UK Biobank's brains scaled to MNI152 (12 parameters), 160x192x160 "
        "voxels of 1 mm along (x, y, z), divided by their mean: grid, axes and intensities are "
        "made so inside the network, but fmtool's registration is rigid, so that a head keeps its "
        "size."
    )
    if told.own is not None:
        said = f"SFCN's own input is 160x192x160 voxels, divided by their mean; {told.said}."
    return Recognised(
        Architecture("sfcn", 1.0, layout.channels[-1], None, layout, own=own),
        {name: t for name, t in parts.encoder.items() if not name.startswith(_HEAD)},
        sorted(name for name in parts.encoder if name.startswith(_HEAD)),
        [said],
    )
