"""FP16 as a GPU computes it: activations rounded as NumPy rounds them, and all of them watched."""

from __future__ import annotations

import copy
from types import SimpleNamespace

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from export import half
from export.graph import masked_zscore
from export.models import Wanted, export_models
from export.precision import trunk_nodes
from export.reference import feed, reference
from export.verify import FP16_LIMIT, kind
from training import encoders


def test_the_rounding_is_numpys(tmp_path):
    """A graph that does nothing but hold a tensor in FP16: what comes out is what FP16 holds."""
    half_type, full_type = TensorProto.FLOAT16, TensorProto.FLOAT
    shape = ["batch", 1, 2, 50, 100]
    nodes = [
        helper.make_node("Cast", ["volume"], ["half"], "in", to=half_type),
        helper.make_node("Mul", ["half", "one"], ["same"], "mul"),
        helper.make_node("Cast", ["same"], ["out"], "out", to=full_type),
        helper.make_node("Identity", ["mask"], ["unused"], "mask"),
    ]
    graph = helper.make_graph(
        nodes,
        "rounding",
        [helper.make_tensor_value_info(name, full_type, shape) for name in ("volume", "mask")],
        [helper.make_tensor_value_info(name, full_type, shape) for name in ("out", "unused")],
        [numpy_helper.from_array(np.float16(1), "one")],
    )
    path = tmp_path / "rounding.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]), path)
    rng = np.random.default_rng(0)
    values = rng.normal(size=(2, 50, 100)) * 10.0 ** rng.integers(-3, 4, size=(2, 50, 100))
    values = values.astype(np.float32)
    ((found,), peaks) = half.run_half(path, [(values, np.ones_like(values))])
    normal = np.abs(values) > 6.2e-5
    np.testing.assert_array_equal(
        found["out"][0][normal], values.astype(np.float16).astype(np.float32)[normal]
    )
    assert max(peaks.values()) == pytest.approx(np.abs(values).max(), rel=1e-3)


def test_it_is_as_far_off_as_torch_in_half(model16, graph, volumes):
    """Two ways to round; float32 engines, which round weights only, are closer than either."""
    outputs, _ = half.run_half(model16, volumes[:1])
    inputs = feed(volumes[:1])
    volume, mask = (torch.from_numpy(array) for array in inputs.values())
    with torch.inference_mode():
        exact = graph(volume, mask)[0][0].numpy()
        trunk = copy.deepcopy(graph.encoder).half()
        features = encoders.features(trunk, masked_zscore(volume, mask).half())
        rounded = features.float().mean((2, 3, 4))[0].numpy()
    weights_only = onnxruntime.InferenceSession(model16).run(["embedding"], inputs)[0][0]
    error = np.linalg.norm(outputs[0]["embedding"] - exact)
    assert np.linalg.norm(weights_only - exact) < error
    assert 0.3 < error / np.linalg.norm(rounded - exact) < 3
    assert outputs[0].keys() == set(graph.output_names)


def test_every_tensor_that_is_computed_is_watched(model16, model32, volumes):
    _, peaks = half.run_half(model16, volumes)
    model = onnx.load(model32).graph
    trunk = trunk_nodes(model)
    kinds = [node.op_type for node in model.node if node.name in trunk]
    assert len(peaks) == 1 + kinds.count("Conv") + kinds.count("Add")  # 1: the cast into it
    assert {"encoder.conv1", "encoder.layer4.1.conv2"} < peaks.keys()
    assert all(0 < peak < 100 for peak in peaks.values())


def test_which_models_are_half(model16, model32):
    assert [kind(path) for path in (model16, model32)] == ["float16", "float32"]


def test_nan_is_the_worst_peak():
    assert half.worst({"a": 1.0, "b": float("nan"), "c": 9e9})[0] == "b"
    assert half.worst({}) == ("", 0.0)


def test_what_makes_and_reads_a_large_tensor_is_found_by_name(tmp_path):
    """Large between two products, and through a ReLU that passes it on; small elsewhere."""
    half_type, full_type, shape = TensorProto.FLOAT16, TensorProto.FLOAT, ["batch", 1, 2, 2, 2]
    nodes = [
        helper.make_node("Cast", ["volume"], ["small"], "in", to=half_type),
        helper.make_node("Mul", ["small", "one"], ["same"], "first"),
        helper.make_node("Mul", ["same", "up.weight"], ["large"], "up"),
        helper.make_node("Relu", ["large"], ["passed"], "relu"),
        helper.make_node("Mul", ["passed", "down.weight"], ["again"], "down"),
        helper.make_node("Mul", ["again", "one"], ["last"], "last"),
        helper.make_node("Cast", ["last"], ["out"], "out", to=full_type),
        helper.make_node("Identity", ["mask"], ["unused"], "mask"),
    ]
    numbers = {"one": 1.0, "up.weight": 3e4, "down.weight": 1e-3}
    graph = helper.make_graph(
        nodes,
        "large",
        [helper.make_tensor_value_info(name, full_type, shape) for name in ("volume", "mask")],
        [helper.make_tensor_value_info(name, full_type, shape) for name in ("out", "unused")],
        [numpy_helper.from_array(np.float16(v), name) for name, v in numbers.items()],
    )
    path = tmp_path / "large.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]), path)
    ones = np.ones((2, 2, 2), np.float32)
    found = half.beyond(path, [(ones, ones)], FP16_LIMIT)
    assert found == {"up": "up", "relu": "up", "down": "down"}
    assert half.beyond(path, [(ones / 10, ones)], FP16_LIMIT) == {}


@pytest.mark.slow
def test_layers_that_overflow_stay_in_float32_and_are_named(graph, heads, volumes, tmp_path):
    """A block whose first activations are a million times as large, and its sum as before."""
    large = copy.deepcopy(graph)
    block = large.encoder.layer2[1]
    with torch.no_grad():
        block.bn1.weight.mul_(1e6)
        block.bn1.bias.mul_(1e6)
        block.conv2.weight.div_(1e6)
    said = []
    facts = SimpleNamespace(architecture="resnet18", width=1.0, sha256="")
    wanted = Wanted(fp16=True, volumes=volumes, batches=(1,))
    models = export_models(
        large, heads, tmp_path, wanted, reference(large, volumes), facts, said.append
    )
    kept = models[1].kept
    assert {f"encoder.layer2.1.conv{i}" for i in (1, 2)} <= set(kept)
    assert {layer.split(".")[1] for layer in kept} == {"layer2"}
    assert models[1].describe().startswith("in float32, too large for FP16: encoder.layer2.1")
    assert any("stays in float32" in sentence for sentence in said)
    assert models[0].kept == ()
    assert half.beyond(models[1].path, volumes, FP16_LIMIT) == {}
    types = {w.name: w.data_type for w in onnx.load(models[1].path).graph.initializer}
    full = {n for n, kind in types.items() if kind == TensorProto.FLOAT and ".conv" in n}
    assert full == {name for name in full if name.startswith("encoder.layer2.1.conv")}
    assert types["encoder.layer1.0.conv1.weight"] == TensorProto.FLOAT16
