"""BrainIAC's two encoders (Nature Neuroscience 2026), both below `backbone.`: MONAI's networks.

The first was `resnet50` with a first convolution of stride 2, on heads resized to 128x128x128 and
scaled from 0 to 1; the second is `ViT` with its defaults (768 features, 12 layers of 12 heads,
patches of 16 voxels) on heads resized to 96x96x96 and z-scored above zero. Source of names and
transforms: https://github.com/AIM-KannLab/BrainIAC, `load_brainiac.py`, `model.py`, `dataset.py`.
"""

from __future__ import annotations

from dataclasses import replace

from training.encoders.importers import residual, vit
from training.encoders.importers.recognised import Recognised
from training.encoders.layout import Transformer
from training.encoders.own_input import MIN_MAX, OwnInput
from training.encoders.told import Told
from training.encoders.weights import VIT, CheckpointParts

CHANNELS = 64
TRANSFORMER = Transformer((96, 96, 96), (16, 16, 16))

PLACE = "backbone."
RESNET_INPUT = OwnInput((128, 128, 128), MIN_MAX)

_WORDS = "what it was trained on is made inside the network from fmtool's crop"


def is_of(parts: CheckpointParts, told: Told) -> bool:
    """Whether the tensors are named and shaped as its are; a stride that is told says otherwise."""
    if told.stem_stride is not None or told.max_pool is not None:
        return False
    if VIT in parts.encoder:  # its fine-tuning puts more before the name
        return parts.place.endswith(PLACE) and tuple(parts.encoder[VIT].shape) == _positions()
    stem = parts.encoder.get("conv1.weight")
    return (
        parts.place == PLACE
        and stem is not None
        and tuple(stem.shape) == (CHANNELS, 1, 7, 7, 7)
        and {"layer1.0.conv3.weight", "layer1.0.downsample.0.bias"} <= parts.encoder.keys()
        and "layer3.5.conv1.weight" in parts.encoder
        and "layer3.6.conv1.weight" not in parts.encoder
    )


def read(parts: CheckpointParts, where: str, told: Told) -> Recognised:
    """See `training.encoders.importers.read`.

    Raises:
        InputError: for another input of the transformer, whose learned positions tell it.
    """
    if VIT in parts.encoder:
        said = (
            f"BrainIAC's heads were resized to 96x96x96 voxels and z-scored: {_WORDS}; BrainIAC's "
            "classifiers read the first patch's token, the embedding here is the mean over all "
            "patches, so that a head's map adds up to its answer."
        )
        return vit.transformer(parts, where, told, TRANSFORMER, said)
    found, _ = residual.infer(parts.encoder, where, 2, True)
    size = "128x128x128 voxels scaled from 0 to 1"
    ours = told.said or f"BrainIAC's heads were resized to {size}: {_WORDS}"
    said = (
        "Taken for BrainIAC's ResNet-50, by its names and shapes, with a first stride of 2; "
        f"{ours}; is it somebody else's, say --stem-stride."
    )
    return Recognised(replace(found, own=told.own or RESNET_INPUT), parts.encoder, remarks=[said])


def _positions() -> tuple[int, int, int]:
    z, y, x = TRANSFORMER.grid
    return 1, z * y * x, TRANSFORMER.hidden_size
