"""The CPU engines an exported model is checked in: ONNX Runtime, and OpenVINO where installed."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from export.reference import Array
from runtime.engines.openvino.core import core

Run = Callable[[dict[str, Array]], dict[str, Array]]


def engines(path: Path) -> Iterator[tuple[str, Run]]:
    """Each installed CPU engine's name and version, one at a time: a full-size model takes GBs."""
    import onnxruntime

    yield f"ONNX Runtime {onnxruntime.__version__}", _onnxruntime(path)
    if importlib.util.find_spec("openvino"):
        yield _named_openvino(path)


def quickest(path: Path) -> Iterator[tuple[str, Run]]:
    """One of them: OpenVINO where it is installed, in INT8 several times quicker."""
    if importlib.util.find_spec("openvino"):
        yield _named_openvino(path)
    else:
        yield next(engines(path))


def session(model: str | os.PathLike[str] | bytes) -> Any:
    """An ONNX Runtime session on the CPU that gives its memory back after each run."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.enable_cpu_mem_arena = False
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _onnxruntime(path: Path) -> Run:
    opened = session(path)
    names = [output.name for output in opened.get_outputs()]
    return lambda inputs: dict(zip(names, opened.run(None, inputs), strict=True))


def _named_openvino(path: Path) -> tuple[str, Run]:
    import openvino

    return f"OpenVINO {openvino.__version__.split('-')[0]}", _openvino(path)


def _openvino(path: Path) -> Run:
    # Its own choice on a machine that has bfloat16 would be bfloat16.
    model = core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    names = [output.any_name for output in model.outputs]

    def run(inputs: dict[str, Array]) -> dict[str, Array]:
        results = model(inputs)
        return {name: np.array(results[i]) for i, name in enumerate(names)}

    return run
