"""What a GPU computes from an FP16 model, on a CPU, and how large its activations get.

ONNX Runtime's and OpenVINO's CPU engines run an FP16 graph in float32 with rounded weights: neither
the rounding of activations nor an overflow shows. Here every FP16 tensor of the graph is rounded to
FP16's eleven bits, sums within a layer staying in float32 as on a GPU, and its smallest and largest
value come out as two more outputs.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from export.onnx import save
from export.reference import Outputs, Volume, feed
from fmtool import files
from runtime.engines.onnxruntime import OnnxRuntimeEngine

ENGINE = "FP16 rounding"
"""What a report calls it."""

_SMALLEST, _LARGEST = "fmtool.smallest.", "fmtool.largest."
_SPLITTER = "fmtool.splitter"
_PASSING = ("Relu", "MaxPool", "Identity", "Reshape", "Transpose")
# Their values are some of their input's: rounded already, and no larger.


def run_half(model_path: Path, volumes: Sequence[Volume]) -> tuple[list[Outputs], dict[str, float]]:
    """Each volume's outputs, and the largest |value| of each FP16 tensor by where it is computed.

    Every tensor between two nodes counts: both inputs of a sum, a sum before its ReLU, attention's
    scores before their softmax. Values below 6e-5, where FP16 has fewer bits, keep eleven.

    Args:
        model_path: an FP16 ONNX file.
        volumes: prepared volumes and masks, run one at a time.
    """
    outputs, tensors, places = _run(model_path, volumes)
    peaks = dict.fromkeys(places.values(), 0.0)
    for tensor, peak in tensors.items():
        peaks[places[tensor]] = float(np.maximum(peaks[places[tensor]], peak))  # NaN stays NaN
    return outputs, peaks


def beyond(model_path: Path, volumes: Sequence[Volume], limit: float) -> dict[str, str]:
    """The nodes that make or read an FP16 tensor of `limit` or more: name -> layer, for people."""
    _, peaks, places = _run(model_path, volumes)
    large = {tensor: places[tensor] for tensor, peak in peaks.items() if not peak < limit}
    found: dict[str, str] = {}
    for node in onnx.load(model_path).graph.node:  # in topological order
        met = [large[name] for name in (*node.input, *node.output) if name in large]
        if met and node.op_type in _PASSING:
            large |= dict.fromkeys(node.output, met[0])
        if met and node.op_type != "Cast":
            weights = [name for name in node.input if name.endswith(".weight")]
            found[node.name] = weights[0].removesuffix(".weight") if weights else met[-1]
    return found


def _run(
    model_path: Path, volumes: Sequence[Volume]
) -> tuple[list[Outputs], dict[str, float], dict[str, str]]:
    """Each volume's outputs; the largest |value| of each FP16 tensor; where each is computed."""
    model = onnx.load(model_path)
    names = [output.name for output in model.graph.output]
    places = _halves(model)
    _widen(model.graph, places)
    peaks = dict.fromkeys(places, 0.0)
    outputs = []
    with tempfile.TemporaryDirectory(prefix=files.SCRATCH, dir=model_path.parent) as scratch:
        widened = save(model, Path(scratch) / "widened.onnx")
        with OnnxRuntimeEngine(widened) as engine:
            for volume in volumes:
                found = engine.run(feed([volume]))
                outputs.append({name: found[name][0] for name in names})
                for tensor in places:
                    ends = np.abs([found[_SMALLEST + tensor], found[_LARGEST + tensor]])
                    peaks[tensor] = float(np.maximum(peaks[tensor], ends.max()))  # NaN stays NaN
    return outputs, peaks, places


def worst(peaks: Mapping[str, float]) -> tuple[str, float]:
    """The place with the largest peak, NaN before any number; ("", 0) of none."""
    return max(
        peaks.items(), key=lambda item: np.inf if np.isnan(item[1]) else item[1], default=("", 0.0)
    )


def _halves(model: onnx.ModelProto) -> dict[str, str]:
    """The FP16 tensors that nodes compute anew: name -> layer or node, for people."""
    inferred = onnx.shape_inference.infer_shapes(model).graph
    kinds = {v.name: v.type.tensor_type.elem_type for v in (*inferred.value_info, *inferred.output)}
    places: dict[str, str] = {}
    layer = "the input"
    for node in model.graph.node:  # in topological order
        weights = [name for name in node.input if name.endswith(".weight")]
        layer = weights[0].removesuffix(".weight") if weights else layer
        place = layer if weights else f"{node.op_type} {node.name}, after {layer}"
        if node.op_type not in _PASSING:
            halves = (name for name in node.output if kinds.get(name) == TensorProto.FLOAT16)
            places |= dict.fromkeys(halves, place)
    return places


def _widen(graph: onnx.GraphProto, rounded: Mapping[str, str]) -> None:
    """Every FP16 number in float32, and the tensors `rounded` rounded by arithmetic."""
    for weight in graph.initializer:
        _to_float(weight)
    # x * (2^13 + 1), from which two subtractions leave x with eleven bits (Veltkamp 1968). Two
    # casts would do the same, and are removed as superfluous.
    graph.initializer.append(numpy_helper.from_array(np.float32(2**13 + 1), _SPLITTER))
    nodes = list(graph.node)
    del graph.node[:], graph.value_info[:]
    for node in nodes:
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.i == TensorProto.FLOAT16:
                attribute.i = TensorProto.FLOAT
            if attribute.HasField("t"):
                _to_float(attribute.t)
        made = [name for name in node.output if name in rounded]
        node.output[:] = [f"{name}.exact" if name in rounded else name for name in node.output]
        graph.node.append(node)
        for name in made:
            _round(graph, name)


def _round(graph: onnx.GraphProto, name: str) -> None:
    exact, scaled, rest = f"{name}.exact", f"{name}.scaled", f"{name}.rest"
    for operator, prefix in (("ReduceMin", _SMALLEST), ("ReduceMax", _LARGEST)):
        graph.node.append(helper.make_node(operator, [exact], [prefix + name], keepdims=0))
        graph.output.append(helper.make_tensor_value_info(prefix + name, TensorProto.FLOAT, []))
    graph.node.append(helper.make_node("Mul", [exact, _SPLITTER], [scaled]))
    graph.node.append(helper.make_node("Sub", [scaled, exact], [rest]))
    graph.node.append(helper.make_node("Sub", [scaled, rest], [name]))


def _to_float(tensor: onnx.TensorProto) -> None:
    if tensor.data_type == TensorProto.FLOAT16:
        exact = numpy_helper.to_array(tensor).astype(np.float32)
        tensor.CopyFrom(numpy_helper.from_array(exact, tensor.name))
