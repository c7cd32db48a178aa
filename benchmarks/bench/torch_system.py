"""The same network in torch: the encoder that the manifest names, with the bundle's weights."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import numpy as np
import torch

from benchmarks.bench import probe
from benchmarks.bench.peers import VARIANTS
from benchmarks.bench.probe import Make
from benchmarks.bench.system import Laps, System
from benchmarks.bench.torch_weights import BUNDLE, fold, load
from export.graph import EMBEDDING, BundleGraph
from fmtool import bundle as bundles
from fmtool.errors import CapabilityError
from runtime.engines.base import Arrays
from training import encoders
from training.evidence.head import Head


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
    facts = bundle.manifest.encoder
    torch.manual_seed(0)
    encoder = encoders.build(facts.architecture, facts.width, facts.patch).eval()
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
