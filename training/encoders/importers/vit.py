"""MONAI's `ViT` where something tells its heads: a `config.json` in MONAI's words beside it.

Its learned positions tell the input it was trained on, which it is given: `img_size` voxels. Source
of the names: monai.networks.nets.vit, https://docs.monai.io/en/stable/networks.html.
"""

from __future__ import annotations

from fmtool.errors import InputError, UsageError
from training.encoders.architecture import Architecture
from training.encoders.importers.recognised import Recognised
from training.encoders.layout import Transformer
from training.encoders.monai import networks
from training.encoders.own_input import OwnInput
from training.encoders.told import Told
from training.encoders.weights import VIT, CheckpointParts


def is_of(parts: CheckpointParts, told: Told) -> bool:
    """Whether the tensors are a transformer's whose layout was told."""
    return VIT in parts.encoder and told.transformer is not None


def read(parts: CheckpointParts, where: str, told: Told) -> Recognised:
    """See `training.encoders.importers.read`."""
    assert told.transformer is not None
    size = "x".join(map(str, told.transformer.img_size))
    said = (
        f"The transformer was trained on {size} voxels, made inside the network from fmtool's "
        "crop, resampled and z-scored; the embedding is the mean over all patches."
    )
    return transformer(parts, where, told, told.transformer, said)


def transformer(
    parts: CheckpointParts, where: str, told: Told, layout: Transformer, said: str
) -> Recognised:
    """One of a known layout, behind its own input.

    Raises:
        InputError: for positions or an input that are another layout's.
    """
    own = OwnInput(layout.img_size)
    if told.own is not None and told.own.shape != own.shape:
        raise InputError(
            f"{where} has learned the positions of {'x'.join(map(str, own.shape))} voxels; leave "
            "--trained-on out"
        )
    bare = "blocks.0.attn.qkv.bias" not in parts.encoder
    try:
        tensors = networks.vit_names(parts.encoder, layout, layout.grid, bare)
    except UsageError as error:
        raise InputError(f"{where}: {error}") from None
    dropped = sorted(name for name in tensors if networks.dropped(name))
    return Recognised(
        Architecture("vit", 1.0, layout.hidden_size, None, layout, own=told.own or own),
        {name: t for name, t in tensors.items() if name not in dropped},
        dropped,
        [said],
    )
