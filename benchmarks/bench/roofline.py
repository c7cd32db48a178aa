"""The arithmetic of an ONNX graph, and each candidate's place under the hardware's roof.

Operations and least memory traffic are those of each layer that counts. An operation is a
multiplication or an addition, so a multiply-add is two. Counted are the layers that multiply
matrices: Conv, ConvTranspose, Gemm and MatMul. The others (normalisation, activations, pooling) are
a per mille of this network and are fused into its convolutions.

The roofline (Williams, Waterman, Patterson 2009): how near a latency is to what the device can.

Each layer takes at least its operations at the device's peak, and at least its traffic at the
memory's speed, whichever is longer; the network's limit is the sum of these.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from benchmarks.bench.record import Record
from benchmarks.bench.rounds import PEAK
from fmtool.bundle import Bundle
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


BYTES = {"float32": 4, "bfloat16": 2, "float16": 2, "int8": 1}
"""Of one value."""


def place(
    layers: Sequence[Layer], precision: str, latency: float, peak: float, bandwidth: float
) -> dict[str, Any]:
    """Where a latency lies under its roof.

    Args:
        layers: of the network, for one volume.
        precision: what it computes in, which sets the bytes per value.
        latency: seconds per volume.
        peak: operations per second.
        bandwidth: bytes per second.

    Returns:
        "flop", "bytes", "flop_per_second", "share_of_peak", "intensity" (operations per byte),
        "limit_seconds", "share_of_roofline", and "bound": "compute" or "memory", whichever limits
        the layers that take most of the time.
    """
    size = BYTES[precision]
    flop = sum(layer.flop for layer in layers)
    traffic = sum(layer.values for layer in layers) * size
    limits = [(layer.flop / peak, layer.values * size / bandwidth) for layer in layers]
    limit = sum(max(pair) for pair in limits)
    by_compute = sum(compute for compute, memory in limits if compute >= memory)
    return {
        "flop": flop,
        "bytes": traffic,
        "flop_per_second": flop / latency,
        "share_of_peak": flop / latency / peak,
        "intensity": flop / traffic,
        "limit_seconds": limit,
        "share_of_roofline": limit / latency,
        "bound": "compute" if 2 * by_compute >= limit else "memory",
    }


def fill(records: Sequence[Record], bundle: Bundle) -> None:
    """Count the graph's operations and place every record; where it cannot be, the reason."""
    try:
        layers = count(bundle.model())
    except CapabilityError as error:
        for record in records:
            record.reasons |= dict.fromkeys((*PEAK, "intensity"), str(error))
        return
    for record in records:
        if record.peak is None or record.bandwidth is None:
            continue  # its reasons are noted
        record.roofline = place(
            layers,
            record.precision,
            record.summary().median,
            record.peak["flop_per_second"],
            record.bandwidth,
        )
