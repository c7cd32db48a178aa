"""How large a model's activations get, tensor by tensor: what FP16 must hold.

ONNX Runtime's CPU computes an FP16 model in float32 with rounded weights, so a value that would
overflow on a GPU passes unseen there. Here it is seen: every FP16 tensor of the graph is reduced to
its smallest and largest value, which come out as two more outputs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from export.engines import session
from export.reference import Array, Volume, feed

_SMALLEST, _LARGEST = "fmtool.smallest.", "fmtool.largest."


def half_peaks(model_path: Path, volumes: Sequence[Volume]) -> dict[str, float]:
    """The largest |value| of each FP16 tensor over the volumes, by where it is computed.

    Every tensor between two nodes counts: both inputs of a sum, a sum before its ReLU, attention's
    scores before their softmax. A model without FP16 has none.

    Args:
        model_path: the ONNX file.
        volumes: prepared volumes and masks, run one at a time.
    """
    model = onnx.load(model_path)
    places = _halves(model)
    if not places:
        return {}
    del model.graph.output[:]
    for tensor in places:
        _watch(model.graph, tensor)
    run = session(model.SerializeToString())
    names = [output.name for output in run.get_outputs()]
    peaks = dict.fromkeys(places.values(), 0.0)
    for volume in volumes:
        for name, value in zip(names, run.run(None, feed([volume])), strict=True):
            place = places[name.removeprefix(_SMALLEST).removeprefix(_LARGEST)]
            peaks[place] = _larger(peaks[place], value)
    return peaks


def is_half(model_path: Path) -> bool:
    """Whether a model has FP16 weights."""
    weights = onnx.load(model_path, load_external_data=False).graph.initializer
    return any(weight.data_type == TensorProto.FLOAT16 for weight in weights)


def _halves(model: onnx.ModelProto) -> dict[str, str]:
    """The FP16 tensors that nodes compute: name -> layer or node, for people."""
    inferred = onnx.shape_inference.infer_shapes(model).graph
    kinds = {v.name: v.type.tensor_type.elem_type for v in (*inferred.value_info, *inferred.output)}
    places: dict[str, str] = {}
    layer = "the input"
    for node in model.graph.node:  # in topological order
        weights = [name for name in node.input if name.endswith(".weight")]
        layer = weights[0].removesuffix(".weight") if weights else layer
        place = layer if weights else f"{node.op_type} {node.name}, after {layer}"
        halves = (name for name in node.output if kinds.get(name) == TensorProto.FLOAT16)
        places |= dict.fromkeys(halves, place)
    return places


def _watch(graph: onnx.GraphProto, tensor: str) -> None:
    exact = f"fmtool.float32.{tensor}"
    graph.node.append(helper.make_node("Cast", [tensor], [exact], to=TensorProto.FLOAT))
    for operator, prefix in (("ReduceMin", _SMALLEST), ("ReduceMax", _LARGEST)):
        graph.node.append(helper.make_node(operator, [exact], [prefix + tensor], keepdims=0))
        graph.output.append(helper.make_tensor_value_info(prefix + tensor, TensorProto.FLOAT, []))


def _larger(peak: float, value: Array) -> float:
    return float(np.maximum(peak, np.abs(value).max()))  # NaN stays NaN


def worst(peaks: Mapping[str, float]) -> tuple[str, float]:
    """The place with the largest peak, NaN before any number; ("", 0) of none."""
    return max(
        peaks.items(), key=lambda item: np.inf if np.isnan(item[1]) else item[1], default=("", 0.0)
    )
