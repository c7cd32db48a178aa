"""The arithmetic of an ONNX graph: operations and least memory traffic of each layer that counts.

An operation is a multiplication or an addition, so a multiply-add is two. Counted are the layers
that multiply matrices: Conv, ConvTranspose, Gemm and MatMul. The others (normalisation,
activations, pooling) are a per mille of this network and are fused into its convolutions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from fmtool.errors import CapabilityError

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Layer:
    """One matrix-multiplying node for a batch of one.

    Attributes:
        name: the node's.
        flop: operations.
        values: numbers that are read (inputs, weights) and written, each once: the least traffic.
    """

    name: str
    flop: int
    values: int


def count(path: Path, batch: int = 1) -> list[Layer]:
    """Every matrix-multiplying layer of the model, all dynamic dimensions taken as `batch`.

    Raises:
        CapabilityError: if onnx is not installed, which infers the shapes.
        ValueError: if a shape cannot be inferred.
    """
    try:
        import onnx
    except ImportError:
        raise CapabilityError(
            "operations are counted with onnx, which is not installed (`fmtool[train]`)"
        ) from None
    model = onnx.load(path)
    for value in model.graph.input:
        for dim in value.type.tensor_type.shape.dim:
            if not dim.HasField("dim_value"):
                dim.dim_value = batch
    del model.graph.value_info[:]  # the exporter's shapes, in symbols
    graph = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    for value in (*graph.input, *graph.value_info, *graph.output):
        dims = value.type.tensor_type.shape.dim
        if value.type.tensor_type.HasField("shape") and all(
            dim.HasField("dim_value") for dim in dims
        ):
            shapes.setdefault(value.name, tuple(dim.dim_value for dim in dims))
    return [
        _layer(node, shapes, macs(node, shapes))
        for node in graph.node
        if (macs := _MACS.get(node.op_type)) is not None
    ]


def _layer(node: Any, shapes: dict[str, Shape], macs: int) -> Layer:
    tensors = [name for name in (*node.input, *node.output) if name]
    return Layer(node.name, 2 * macs, sum(prod(_shape(shapes, name)) for name in tensors))


def _shape(shapes: dict[str, Shape], name: str) -> Shape:
    if name not in shapes:
        raise ValueError(f"the shape of {name!r} is not known")
    return shapes[name]


def _convolution(node: Any, shapes: dict[str, Shape]) -> int:
    """Each output value is a sum over the kernel and the channels of its group."""
    weight = _shape(shapes, node.input[1])  # [out, in / groups, *kernel]
    return prod(_shape(shapes, node.output[0])) * prod(weight[1:])


def _transposed(node: Any, shapes: dict[str, Shape]) -> int:
    """Each input value goes to the kernel and the channels of its group."""
    weight = _shape(shapes, node.input[1])  # [in, out / groups, *kernel]
    return prod(_shape(shapes, node.input[0])) * prod(weight[1:])


def _product(node: Any, shapes: dict[str, Shape]) -> int:
    return prod(_shape(shapes, node.output[0])) * _shape(shapes, node.input[0])[-1]


def _gemm(node: Any, shapes: dict[str, Shape]) -> int:
    rows, columns = _shape(shapes, node.input[0])
    transposed = any(entry.name == "transA" and entry.i for entry in node.attribute)
    return prod(_shape(shapes, node.output[0])) * (rows if transposed else columns)


_MACS: dict[str, Callable[[Any, dict[str, Shape]], int]] = {
    "Conv": _convolution,
    "ConvTranspose": _transposed,
    "MatMul": _product,
    "Gemm": _gemm,
}
