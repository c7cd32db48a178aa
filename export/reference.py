"""What torch computes in float32 on given volumes, and how large its activations get."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from export.graph import INPUTS, BundleGraph

Array = NDArray[np.float32]
Volume = tuple[Array, Array]
"""A prepared volume and its mask, each (z, y, x) on the model's crop."""


@dataclass
class Reference:
    """Float32 torch on a list of volumes, one at a time.

    Attributes:
        outputs: per volume, each output by name without its batch axis.
        peaks: the largest |activation| into or out of each of the encoder's layers, by name.
    """

    outputs: list[dict[str, Array]] = field(default_factory=list)
    peaks: dict[str, float] = field(default_factory=dict)


def feed(volumes: Sequence[Volume]) -> dict[str, Array]:
    """Volumes and masks as one batch, float32 [B, 1, z, y, x], by the graph's input names."""
    pairs = zip(*volumes, strict=True)
    return {
        name: np.stack([np.asarray(array, np.float32)[None] for array in arrays])
        for name, arrays in zip(INPUTS, pairs, strict=True)
    }


def reference(graph: BundleGraph, volumes: Sequence[Volume]) -> Reference:
    """Run `graph` on each volume in torch, float32, and watch every layer's activations."""
    found = Reference()
    with torch.inference_mode(), _watch(graph.encoder, found.peaks):
        for volume in volumes:
            inputs = (torch.from_numpy(array) for array in feed([volume]).values())
            outputs = (output.numpy()[0] for output in graph(*inputs))
            found.outputs.append(dict(zip(graph.output_names, outputs, strict=True)))
    return found


@contextmanager
def _watch(encoder: nn.Module, peaks: dict[str, float]) -> Iterator[None]:
    """Keep each layer's largest |value|; inputs too, where a residual sum shows before its ReLU."""

    def note(name: str, *tensors: object) -> None:
        for tensor in tensors:
            if isinstance(tensor, Tensor) and tensor.is_floating_point():
                low, high = tensor.aminmax()  # no copy: a first-layer activation is 1.4 GB
                peak = float(torch.maximum(-low, high))
                peaks[name] = float(np.maximum(peaks.get(name, 0.0), peak))  # NaN stays NaN

    handles = []
    for name, layer in encoder.named_modules():
        if not any(True for _ in layer.children()):
            handles += [
                layer.register_forward_pre_hook(lambda _, args, name=name: note(name, *args)),
                layer.register_forward_hook(lambda _, args, out, name=name: note(name, out)),
            ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
