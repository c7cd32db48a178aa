"""The CPU engines an exported model is checked in: ONNX Runtime, and OpenVINO where installed."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from export.reference import Array

Run = Callable[[dict[str, Array]], dict[str, Array]]


def engines(path: Path) -> Iterator[tuple[str, Run]]:
    """Each installed CPU engine, one at a time: a full-size model takes gigabytes."""
    yield "ONNX Runtime", _onnxruntime(path)
    if importlib.util.find_spec("openvino"):
        yield "OpenVINO", _openvino(path)


def _onnxruntime(path: Path) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.enable_cpu_mem_arena = False
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return lambda inputs: dict(zip(names, session.run(None, inputs), strict=True))


def _openvino(path: Path) -> Run:
    import openvino

    # Its own choice on a machine that has bfloat16 would be bfloat16.
    model = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    names = [output.any_name for output in model.outputs]

    def run(inputs: dict[str, Array]) -> dict[str, Array]:
        results = model(inputs)
        return {name: np.array(results[i]) for i, name in enumerate(names)}

    return run
