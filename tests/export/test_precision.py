"""The FP16 file: FP16 in the trunk, float32 before the first and after the last of it."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto

from export.precision import trunk_nodes
from export.reference import feed, reference


def types(path):
    """Every tensor's element type, by name."""
    model = onnx.shape_inference.infer_shapes(onnx.load(path), strict_mode=True)
    graph = model.graph
    known = {v.name: v.type.tensor_type.elem_type for v in (*graph.value_info, *graph.output)}
    known |= {v.name: v.type.tensor_type.elem_type for v in graph.input}
    known |= {w.name: w.data_type for w in graph.initializer}
    return graph, known


def test_the_zscore_is_float32_and_the_convolutions_are_fp16(model16):
    graph, kind = types(model16)
    names = [node.op_type for node in graph.node]
    first = names.index("Conv")
    for node in graph.node[:first]:
        if node.op_type != "Cast":
            assert {kind[n] for n in node.output} == {TensorProto.FLOAT}, node.name
            assert TensorProto.FLOAT16 not in {kind[n] for n in node.input}, node.name
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    assert len(convolutions) == 20
    for node in convolutions:
        assert {kind[n] for n in (*node.input, *node.output)} == {TensorProto.FLOAT16}


def test_pooling_heads_inputs_and_outputs_are_float32(model16):
    graph, kind = types(model16)
    for node in graph.node:
        if node.op_type in ("ReduceMean", "ReduceSum"):
            assert TensorProto.FLOAT16 not in {kind[n] for n in (*node.input, *node.output)}
    assert {kind[v.name] for v in (*graph.input, *graph.output)} == {TensorProto.FLOAT}


def test_there_is_one_cast_in_and_one_out(model16):
    graph, kind = types(model16)
    casts = [(kind[n.input[0]], kind[n.output[0]]) for n in graph.node if n.op_type == "Cast"]
    half = (TensorProto.FLOAT, TensorProto.FLOAT16)
    assert sorted(casts) == sorted([half, half[::-1]])


def test_the_trunk_is_conv_to_feature_map(model32):
    graph = onnx.load(model32).graph
    trunk = trunk_nodes(graph)
    kinds = {node.op_type for node in graph.node if node.name in trunk}
    assert kinds == {"Conv", "Relu", "Add", "MaxPool"}


def test_large_intensities_survive(model16, graph, volumes):
    """Sums over a volume pass 65504 at once: they must not go through FP16."""
    volume, mask = volumes[0]
    large = [((volume * 1000).astype(np.float32), mask)]
    wanted = reference(graph, large)[0]["embedding"]
    found = onnxruntime.InferenceSession(model16).run(["embedding"], feed(large))[0][0]
    assert np.linalg.norm(found - wanted) < 5e-3 * np.linalg.norm(wanted)


def test_it_is_half_the_size(model16, model32):
    assert model16.stat().st_size < 0.6 * model32.stat().st_size
