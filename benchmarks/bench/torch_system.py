"""The same network in torch: the encoder that the manifest names, with the bundle's weights.

They are put back from the exported model into the encoder that it was made from.
"""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.utils import fuse_conv_bn_eval

from benchmarks.bench import probe
from benchmarks.bench.candidates import VARIANTS
from benchmarks.bench.probe import Make
from benchmarks.bench.system import Laps, System
from export.graph import EMBEDDING, BundleGraph
from fmtool import bundle as bundles
from fmtool.errors import CapabilityError
from runtime.engines.base import Arrays
from training import encoders
from training.encoders import architecture
from training.evidence.head import Head

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


class TorchSystem(System):
    """See `System`. It computes everything that the exported graph does, z-score and maps too.

    Args:
        spec: "bundle", "variant" and "device".
        laps: told when torch, the bundle and the network are there.
    """

    def __init__(self, spec: dict[str, Any], laps: Laps) -> None:
        self._variant = VARIANTS[spec["variant"]]
        self.precision = self._variant.precision
        self._torch_device = torch.device(_device(spec["device"]))
        on_gpu = self._torch_device.type == "cuda"
        self.device = f"cuda:{self._torch_device.index or 0}" if on_gpu else "cpu"
        if on_gpu:
            torch.backends.cudnn.allow_tf32 = False  # as in the engines' float32
            torch.backends.cudnn.benchmark = True
        laps.lap("library")
        bundle = bundles.open(spec["bundle"])
        laps.lap("bundle")
        self._graph, weights = _network(bundle)
        if self._variant.folded:
            fold(self._graph.encoder)
        self._graph.to(self._torch_device)
        self._graph.requires_grad_(False)
        if self._variant.channels_last:
            self._graph.encoder.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        if self._variant.compiled:
            _compiler(on_gpu)
            self._graph.encoder.compile()
            self._graph.compile()
        laps.lap("compile")
        self.facts = {
            "library": "torch",
            "version": torch.__version__,
            "device": self.device,
            "precision": self.precision,
            "threads": torch.get_num_threads(),
            "weights": weights,
            "weights_of_bundle": weights == BUNDLE,
        }

    def run(self, inputs: Arrays) -> Arrays:
        """All outputs; the heads are zero maps, so only the embedding says anything."""
        bfloat16 = self._variant.bfloat16
        autocast = torch.autocast(self._torch_device.type, torch.bfloat16) if bfloat16 else None
        with torch.inference_mode(), autocast or nullcontext():
            ready = [torch.from_numpy(inputs[name]) for name in ("volume", "mask")]
            volume, mask = (tensor.to(self._torch_device) for tensor in ready)
            if self._variant.channels_last:
                volume = volume.to(memory_format=torch.channels_last_3d)
            outputs = self._graph(volume, mask)
        found = {
            name: output.float().cpu().numpy()
            for name, output in zip(self._graph.output_names, outputs, strict=True)
        }
        return {name: array for name, array in found.items() if _says_something(name, array)}

    def probes(self) -> Make:
        """The probes' operations in torch itself."""
        return probe.of_torch(self.precision, self.device)

    def close(self) -> None:
        """Release the network."""
        del self._graph


def _says_something(name: str, array: np.ndarray) -> bool:
    return name == EMBEDDING or array.ndim > 2


def _device(name: str) -> str:
    if name == "auto":
        return "cuda:0" if torch.cuda.is_available() else "cpu"
    if name != "cpu" and not torch.cuda.is_available():
        raise CapabilityError(f"torch {torch.__version__} finds no GPU for {name}")
    return name


def _network(bundle: bundles.Bundle) -> tuple[BundleGraph, str]:
    torch.manual_seed(0)
    encoder = architecture.read(bundle.manifest.encoder.to_dict()).build().eval()
    weights = load(encoder, bundle.model())
    zeros = np.zeros(encoders.feature_count(encoder))
    heads = [Head(task, zeros, 0.0, {}, "") for task in bundle.tasks.values()]
    return BundleGraph(encoder, heads), weights


def _compiler(on_gpu: bool) -> None:
    """torch.compile writes C++ for the CPU: say so before it fails at the first inference."""
    if on_gpu:
        return
    from torch._inductor.cpp_builder import get_cpp_compiler

    try:
        get_cpp_compiler()
    except Exception as error:  # torch raises one of its own, private and moved between versions
        raise CapabilityError(f"torch.compile finds no C++ compiler ({error})") from None
