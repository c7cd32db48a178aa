"""MONAI's DenseNet (121, 169, 201, 264 and others): `features.*` and the dropped `class_layers.*`.

Source of the names: monai.networks.nets.densenet, https://docs.monai.io/en/stable/networks.html.
Its depth, growth and width follow from names and shapes. What it was trained on does not.
"""

from __future__ import annotations

import re

from fmtool import space
from fmtool.errors import InputError, UsageError
from training.encoders import densenet
from training.encoders.architecture import Architecture
from training.encoders.importers.recognised import Recognised
from training.encoders.layout import Dense
from training.encoders.told import Told
from training.encoders.weights import DENSENET, CheckpointParts

_FIRST = "features.denseblock1.denselayer1.layers"
_LAYER = re.compile(r"features\.denseblock(\d)\.denselayer(\d{1,3})\.")
_HEAD = "class_layers."


def is_of(parts: CheckpointParts, told: Told) -> bool:
    """Whether the tensors are a DenseNet's."""
    del told
    return DENSENET in parts.encoder


def read(parts: CheckpointParts, where: str, told: Told) -> Recognised:
    """See `training.encoders.importers.read`.

    Raises:
        InputError: if it is of a size that is not read, or not of one-channel volumes.
    """
    try:
        stem, squeeze, grow = (
            parts.encoder[name].shape
            for name in (DENSENET, f"{_FIRST}.conv1.weight", f"{_FIRST}.conv2.weight")
        )
    except KeyError as error:
        raise InputError(f"{where} holds a DenseNet that lacks {error}") from None
    if not len(stem) == len(squeeze) == len(grow) == 5 or stem[1] != 1:
        raise InputError(
            f"{where}: {DENSENET} has shape {tuple(stem)}; fmtool reads a DenseNet over volumes of "
            "one channel, (64, 1, 7, 7, 7)"
        )
    deepest: dict[int, int] = {}
    for found in filter(None, map(_LAYER.match, parts.encoder)):
        block, layer = int(found[1]), int(found[2])
        deepest[block] = max(layer, deepest.get(block, 0))
    try:
        layout = Dense.read(
            {
                "init_features": stem[0],
                "growth_rate": grow[0],
                "bn_size": squeeze[0] // max(grow[0], 1),
                "block_config": [deepest.get(i, 0) for i in range(1, max(deepest) + 1)],
            }
        )
    except UsageError as error:
        raise InputError(f"{where} holds no DenseNet that fmtool reads: {error}") from None
    ours = "x".join(map(str, space.CROP_SHAPE))
    said = (
        "A DenseNet's weights do not tell what input it was trained on: it gets fmtool's, "
        f"{ours} voxels of 1 mm as z-scores inside the brain; was it another, say --trained-on and "
        "--min-max."
    )
    return Recognised(
        Architecture("densenet", 1.0, densenet.feature_count(layout), None, layout, own=told.own),
        {name: t for name, t in parts.encoder.items() if not name.startswith(_HEAD)},
        sorted(name for name in parts.encoder if name.startswith(_HEAD)),
        [f"A DenseNet whose {told.said}."] if told.own is not None else [said],
    )
