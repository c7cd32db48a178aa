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
from export.models import GATES, Wanted, export_models
from export.onnx import export
from export.precision import to_fp16, trunk_nodes
from export.reference import feed, reference
from export.verify import FP16_LIMIT, ActivationOverflow, kind, parity
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


def scaled(graph, volumes, tmp_path, factor):
    """A block whose first activations are `factor` times as large, and its sum as before."""
    large = copy.deepcopy(graph)
    block = large.encoder.layer2[1]
    with torch.no_grad():
        block.bn1.weight.mul_(factor)
        block.bn1.bias.mul_(factor)
        block.conv2.weight.div_(factor)
    return large, export(large, tmp_path / "model.onnx", shape=volumes[0][0].shape)


def test_layers_that_overflow_are_found_by_name_and_hold_in_float32(graph, volumes, tmp_path):
    large, model = scaled(graph, volumes, tmp_path, 1e6)
    path = tmp_path / "model.fp16.onnx"
    found = half.beyond(to_fp16(model, path), volumes, FP16_LIMIT)
    assert set(found.values()) >= {"encoder.layer2.1.conv1", "encoder.layer2.1.conv2"}
    assert {layer.split(".")[1] for layer in found.values()} == {"layer2"}
    to_fp16(model, path, found)
    assert half.beyond(path, volumes, FP16_LIMIT) == {}
    report = parity(path, large, volumes, GATES["float16"])
    assert report.peak < FP16_LIMIT
    types = {w.name: w.data_type for w in onnx.load(path).graph.initializer}
    kept = {name for name, kind in types.items() if kind == TensorProto.FLOAT and ".conv" in name}
    assert kept >= {f"encoder.layer2.1.conv{i}.weight" for i in (1, 2)}
    assert types["encoder.layer1.0.conv1.weight"] == TensorProto.FLOAT16
    assert len(kept) < 6


def test_an_export_keeps_them_and_says_which(graph, heads, volumes, tmp_path):
    large, _ = scaled(graph, volumes, tmp_path, 1e6)
    said = []
    facts = SimpleNamespace(architecture="resnet18", width=1.0, sha256="")
    wanted = Wanted(fp16=True, volumes=volumes, batches=(1,))
    models = export_models(
        large, heads, tmp_path, wanted, reference(large, volumes), facts, said.append
    )
    assert [model.precision for model in models] == ["float32", "float16"]
    assert "encoder.layer2.1.conv1" in models[1].kept
    assert models[1].describe().startswith("in float32, too large for FP16: encoder.layer2.1")
    assert any("stays in float32" in sentence for sentence in said)
    assert models[0].kept == ()


def test_where_no_layer_bears_it_the_export_is_refused(
    graph, heads, volumes, tmp_path, monkeypatch
):
    monkeypatch.setattr("export.verify.FP16_LIMIT", 1e-6)
    facts = SimpleNamespace(architecture="resnet18", width=1.0, sha256="")
    wanted = Wanted(fp16=True, volumes=volumes[:1], batches=(1,))
    with pytest.raises(ActivationOverflow):
        export_models(
            graph, heads, tmp_path, wanted, reference(graph, volumes[:1]), facts, lambda s: None
        )
