"""An exported model's weights back in the torch encoder that it was made from."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn
from torch.nn.utils import fuse_conv_bn_eval

BUNDLE = "the bundle's"
RANDOM = (
    "random: the bundle's cannot be put back into this architecture; time does not depend on it"
)


def load(encoder: nn.Module, model: Path) -> str:
    """Fill a residual network from an ONNX model, whose convolutions have BatchNorm folded in.

    The exporter keeps the names of the convolutions' weights. Each convolution's bias becomes that
    of the BatchNorm behind it, which otherwise is the identity, so that the network does all the
    work that it does when trained.

    Returns:
        Whose weights the encoder now has: `BUNDLE`, or `RANDOM` if the names do not fit.
    """
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(model).graph
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    nodes = {node.input[1]: node for node in graph.node if node.op_type == "Conv"}
    pairs = _pairs(encoder)
    if not pairs or any(f"encoder.{name}.weight" not in nodes for name in pairs):
        return RANDOM
    with torch.no_grad():
        for name, norm in pairs.items():
            convolution, layer = _both(encoder, name, norm)
            node = nodes[f"encoder.{name}.weight"]
            found = [
                torch.from_numpy(numpy_helper.to_array(tensors[t]).copy()) for t in node.input[1:]
            ]
            convolution.weight.copy_(found[0])
            if convolution.bias is not None:
                convolution.bias.zero_()
            layer.reset_running_stats()
            assert layer.running_var is not None
            layer.running_var.fill_(1.0 - layer.eps)
            layer.reset_parameters()
            if len(found) > 1:
                layer.bias.copy_(found[1])
    return BUNDLE


def fold(encoder: nn.Module) -> None:
    """Fold each BatchNorm into the convolution before it, in place.

    Architectures without BatchNorm stay as they are.
    """
    for name, norm in _pairs(encoder).items():
        _replace(encoder, name, fuse_conv_bn_eval(*_both(encoder, name, norm)))
        _replace(encoder, norm, nn.Identity())


def _pairs(encoder: nn.Module) -> dict[str, str]:
    """The name of each convolution of a residual network and of the BatchNorm behind it."""
    found = {}
    for name, module in encoder.named_modules():
        if isinstance(module, nn.Conv3d):
            parent, _, last = name.rpartition(".")
            norm = last.replace("conv", "bn") if last.startswith("conv") else "1"
            full = f"{parent}.{norm}" if parent else norm
            if isinstance(dict(encoder.named_modules()).get(full), nn.BatchNorm3d):
                found[name] = full
    return found


def _both(encoder: nn.Module, name: str, norm: str) -> tuple[nn.Conv3d, nn.BatchNorm3d]:
    convolution, layer = encoder.get_submodule(name), encoder.get_submodule(norm)
    assert isinstance(convolution, nn.Conv3d)
    assert isinstance(layer, nn.BatchNorm3d)
    return convolution, layer


def _replace(encoder: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, last = name.rpartition(".")
    setattr(encoder.get_submodule(parent), last, module)
