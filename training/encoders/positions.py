"""Where the positions of an encoder's map lie in the crop, where no rule of a bundle tells it.

A residual network over the crop, and a transformer over its patches, need no word: see
`runtime.attribution.placed`. Poolings of two voxels put a position half a step on; a network with
an input of its own has it scaled or moved.
"""

from __future__ import annotations

from torch import nn

from fmtool import space
from training import encoders
from training.encoders.densenet import DenseNet
from training.encoders.own_input import Entered, core
from training.encoders.sfcn import SFCN
from training.encoders.vit import Shape, ViT


def positions(encoder: nn.Module) -> dict[str, list[float]]:
    """`map_first` and `map_step`, (z, y, x) voxels of the crop; nothing where the rules tell them.

    Args:
        encoder: by `training.encoders.build`, or imported.
    """
    network = core(encoder)
    if not isinstance(encoder, Entered) and not isinstance(network, DenseNet | SFCN):
        return {}
    shape = encoder.own.shape if isinstance(encoder, Entered) else space.CROP_SHAPE
    first, step = _own(network, shape)
    if isinstance(encoder, Entered):
        count = encoders.map_shape(encoder, space.CROP_SHAPE)
        first, step = encoder.own.onto_crop(first, step, count)
    return {"map_first": first, "map_step": step}


def _own(network: nn.Module, shape: Shape) -> tuple[list[float], list[float]]:
    """First centre and step in voxels of the network's input, along its axes."""
    if isinstance(network, ViT):
        before = [(-n % p) // 2 for n, p in zip(shape, network.patch, strict=True)]
        centres = [(p - 1) / 2 - b for p, b in zip(network.patch, before, strict=True)]
        return centres, [float(p) for p in network.patch]
    if isinstance(network, DenseNet):
        return _halved(4.0, len(network.layout.block_config) - 1)
    if isinstance(network, SFCN):
        return _halved(1.0, len(network.layout.channels) - 1)
    conv1 = network.get_submodule("conv1")
    assert isinstance(conv1, nn.Conv3d)
    pooled = 1 if isinstance(network.get_submodule("maxpool"), nn.Identity) else 2
    dilated = network.get_submodule("layer4.0.conv2").dilation != (1, 1, 1)
    return [0.0] * 3, [float(s * pooled * (2 if dilated else 8)) for s in conv1.stride]


def _halved(step: float, times: int) -> tuple[list[float], list[float]]:
    """After as many poolings of two voxels each, none padded, from a first centre of 0."""
    first = 0.0
    for _ in range(times):
        first, step = first + step / 2, step * 2
    return [first] * 3, [step] * 3
