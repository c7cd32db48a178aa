"""Opening an engine of the table: an ONNX file, or a bundle's model in the graph that it needs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from fmtool.bundle import Bundle
from fmtool.environment import caches
from fmtool.errors import CapabilityError
from runtime.engines import cuda, here, onnxruntime
from runtime.engines.base import Engine, module
from runtime.engines.onnxruntime import folder as provider_folder
from runtime.engines.table import NATIVE, EngineRow, find

Say = Callable[[str], None]
_COMPILERS = {"onnxruntime-tensorrt": "tensorrt", "onnxruntime-rtx": "tensorrt-rtx"}


def open_file(
    row: EngineRow, model: Path | bytes, device: str, precision: str, cache: Path | None = None
) -> Engine:
    """An ONNX file, or its bytes, in an engine that takes one.

    `cache` is for what a GPU's provider compiles.

    Raises:
        CapabilityError: if this machine cannot, or if the engine runs a bundle's model only.
    """
    if row.name in NATIVE:
        raise CapabilityError(f"{row.title} runs the engines of the engine cache, not a graph")
    if row.module:
        return module(row.module).ENGINE(model, device, precision)
    return onnxruntime.OnnxRuntimeEngine(model, device, precision, row.name, cache)


def open_bundle(row: EngineRow, bundle: Bundle, device: str, precision: str, say: Say) -> Engine:
    """A bundle's model in the graph that `precision` needs; built first where the engine is.

    Raises:
        CapabilityError: if this machine cannot.
        BundleError: if the bundle has no such graph.
        EngineError: if the model cannot be compiled, or not loaded.
    """
    if row.name in NATIVE:
        from runtime.engines.trt.open import open_cached

        return open_cached(bundle, NATIVE[row.name], device, precision, say=say)
    cache = _provider_cache(row, bundle, device, precision) if row.device == "cuda" else None
    return open_file(row, bundle.graph(graph_of(precision)), device, precision, cache)


def graph_of(precision: str) -> str:
    """The bundle's graph that is computed in `precision`: float32's serves bfloat16 too."""
    return precision if precision in ("float16", "int8") else "float32"


def _provider_cache(row: EngineRow, bundle: Bundle, device: str, precision: str) -> Path | None:
    """Where the provider keeps what it compiles; None for one that compiles nothing."""
    compiler = find(_COMPILERS.get(row.name, ""), "cuda")
    if compiler is None:
        return None
    built_by = here.version(compiler) or "unknown"
    target, driver = str(cuda.architecture(cuda.index(device))), str(cuda.driver())
    cache = caches.folder("engines")
    return provider_folder.claim(
        cache, bundle.digest, row.name, precision, target, built_by, driver
    )
