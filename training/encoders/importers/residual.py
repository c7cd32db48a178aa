"""A residual network of MONAI's layout, whoever trained it: what names and shapes tell, what not.

Upstream's (3D-Neuro-SimCLR, arXiv 2509.10620) is the one with a 7x7x7 first convolution and biases
in its shortcuts; any other is asked for its first stride.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace

from torch import Tensor

from fmtool.errors import InputError
from training.encoders import architecture
from training.encoders.architecture import MAX_WIDTH, RESNETS, STEM, Architecture, some
from training.encoders.importers.recognised import Recognised
from training.encoders.layout import Residual
from training.encoders.told import Told
from training.encoders.weights import CheckpointParts


def read(parts: CheckpointParts, where: str, told: Told) -> Recognised:
    """See `training.encoders.importers.read`."""
    found, assumed = infer(parts.encoder, where, told.stem_stride, told.max_pool)
    return Recognised(
        replace(found, own=told.own), parts.encoder, remarks=[assumed] if assumed else []
    )


def infer(
    weights: Mapping[str, Tensor],
    where: str,
    stem_stride: int | None = None,
    max_pool: bool | None = None,
) -> tuple[Architecture, str]:
    """What the encoder with these named weights is, from their names and shapes.

    Args:
        weights: an encoder's, by their bare names.
        where: the file they come from, for errors.
        stem_stride: of a residual network's first convolution, which its weights do not tell.
        max_pool: whether pooling follows it, which they do not tell either.

    Returns:
        the architecture, and a sentence on what had to be assumed, or an empty string.

    Raises:
        InputError: if they are of none that names and shapes tell, or of a residual network other
            than upstream's whose stem is not told.
    """
    stem = weights.get("conv1.weight")
    if stem is None and any("attn" in name or "attention" in name for name in weights):
        raise InputError(
            f"{where} holds a transformer, whose weights do not say how many heads and which "
            "patch it has; give the encoder's folder, which does, or of MONAI's ViT a bundle: the "
            "file as models/model.pt beside a configs/inference.json with its network_def"
        )
    if stem is None:
        raise InputError(f"{where} lacks the encoder's conv1.weight; it holds {some(weights)}")
    if stem.ndim != 5 or not 1 <= stem.shape[0] <= STEM * MAX_WIDTH:
        raise InputError(
            f"{where}: conv1.weight has shape {tuple(stem.shape)}; "
            "expected (64, 1, 7, 7, 7), or a scaled width of it"
        )
    shortcuts = [name.rsplit(".", 1)[1] for name in weights if ".downsample.0." in name]
    layout = Residual.read(
        {
            "conv1_t_size": tuple(stem.shape[2:]),
            "shortcut_type": "B" if shortcuts else "A",
            "bias_downsample": "bias" in shortcuts,
        }
    )
    found = architecture.residual(weights)
    blocks, _ = RESNETS[found.name]
    deep = [
        layer
        for layer, count in enumerate(blocks, 1)
        if any(name.startswith(f"layer{layer}.{count}.") for name in weights)
    ]
    if deep:
        raise InputError(
            f"{where} holds a deeper residual network than {found.name}: its layer{deep[0]} has "
            f"more than {blocks[deep[0] - 1]} blocks; fmtool reads {', '.join(RESNETS)}"
        )
    if stem_stride is None and layout != Residual():
        raise InputError(
            f"{where} holds a residual network other than 3D-Neuro-SimCLR's, such as MONAI's or "
            "MedicalNet's, whose weights do not tell the stride of its first convolution: say "
            "--stem-stride (2 for MedicalNet's), and --no-max-pool if no pooling follows it"
        )
    told = {"conv1_t_stride": stem_stride or 1, "no_max_pool": max_pool is False}
    layout = Residual.read({**asdict(layout), **told})
    assumed = [] if stem_stride else ["its first convolution has stride 1"]
    assumed += [] if max_pool is not None else ["max pooling follows it"]
    sentence = f"not told by the weights, and assumed: {' and '.join(assumed)}." if assumed else ""
    return replace(found, layout=None if layout == Residual() else layout), sentence
