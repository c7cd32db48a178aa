"""The probes' ONNX graphs, in the precision of the engine that runs them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

_OPSET = 18
_STEP = 0.05  # of INT8; the values are of the order of one


def write(path: Path, kind: str, size: int, channels: int, chain: int, precision: str) -> list[int]:
    """Write vector -> + constant -> `chain` multiplications -> mean, and return the vector's shape.

    Args:
        kind: "matrix product" of `size` x `size`, or "convolution" 3x3x3 of `channels` channels
            on `size` voxels per side, without padding.
        chain: how many in a row.
        precision: "float16" writes float16 weights and "int8" quantised ones, as exports do; all
            others are the engine's own business.
    """
    convolution = kind == "convolution"
    if convolution:
        axes = [2, 3, 4]
        whole, vector = [1, channels, size, size, size], [1, channels, 1, 1, 1]
        weight, fan = [channels, channels, 3, 3, 3], 27 * channels
    else:
        axes = [0]
        whole, vector = [size, size], [1, size]
        weight, fan = [size, size], size
    rng = np.random.default_rng(0)
    half = precision == "float16"
    graph = _Graph(np.float16 if half else np.float32)
    graph.constant("large", rng.standard_normal(whole, dtype=np.float32))
    kernel = rng.standard_normal(weight, dtype=np.float32) / np.float32(np.sqrt(fan))
    first, last = ("cast", "mean") if half else ("vector", "out")
    if half:
        graph.nodes.append(helper.make_node("Cast", ["vector"], ["cast"], to=TensorProto.FLOAT16))
    graph.nodes.append(helper.make_node("Add", [first, "large"], ["x0"]))
    graph.weights("kernel", kernel, quantised=precision == "int8")
    for i in range(chain):
        x = graph.quantised(f"x{i}") if precision == "int8" else f"x{i}"
        operator = "Conv" if convolution else "MatMul"
        graph.nodes.append(helper.make_node(operator, [x, "kernel"], [f"x{i + 1}"]))
    graph.tensors.append(numpy_helper.from_array(np.array(axes), "axes"))
    graph.nodes.append(helper.make_node("ReduceMean", [f"x{chain}", "axes"], [last]))
    if half:
        graph.nodes.append(helper.make_node("Cast", ["mean"], ["out"], to=TensorProto.FLOAT))
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, vector) for name in ("vector", "out")
    ]
    made = helper.make_graph(graph.nodes, "probe", values[:1], values[1:], graph.tensors)
    opset = [helper.make_opsetid("", _OPSET)]
    onnx.save(helper.make_model(made, opset_imports=opset, ir_version=8), path)
    return vector


class _Graph:
    """Nodes and constants as they gather."""

    def __init__(self, dtype: type[np.floating]) -> None:  # type: ignore[type-arg]
        self.dtype = dtype
        self.nodes: list[onnx.NodeProto] = []
        self.tensors: list[onnx.TensorProto] = []

    def constant(self, name: str, values: NDArray[np.float32]) -> None:
        self.tensors.append(numpy_helper.from_array(values.astype(self.dtype), name))

    def weights(self, name: str, values: NDArray[np.float32], quantised: bool) -> None:
        if not quantised:
            self.constant(name, values)
            return
        step = np.float32(np.abs(values).max() / 127)
        whole = np.round(values / step).astype(np.int8)
        self.tensors.append(numpy_helper.from_array(whole, f"{name}_int8"))
        self._scale(name, step)
        self._dequantise(f"{name}_int8", name, name)

    def quantised(self, name: str) -> str:
        """The name of `name` rounded to INT8 and back, as engines expect to find it."""
        self._scale(name, np.float32(_STEP))
        parts = [name, f"{name}_scale", f"{name}_zero"]
        self.nodes.append(helper.make_node("QuantizeLinear", parts, [f"{name}_int8"]))
        self._dequantise(f"{name}_int8", f"{name}_back", name)
        return f"{name}_back"

    def _scale(self, name: str, step: np.float32) -> None:
        self.tensors.append(numpy_helper.from_array(np.array(step), f"{name}_scale"))
        self.tensors.append(numpy_helper.from_array(np.array(0, np.int8), f"{name}_zero"))

    def _dequantise(self, source: str, target: str, scale: str) -> None:
        parts = [source, f"{scale}_scale", f"{scale}_zero"]
        self.nodes.append(helper.make_node("DequantizeLinear", parts, [target]))
