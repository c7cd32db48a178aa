"""int8 models: what is quantised, how far it is off, and which layers are let off."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from export.int8 import qdq, stem, to_int8
from export.reference import Volume, feed
from export.verify import kind
from runtime.engines.onnxruntime import OnnxRuntimeEngine
from runtime.engines.openvino import OpenVINOEngine


def embedding(path: Path, volumes: list[Volume]) -> np.ndarray:
    with OnnxRuntimeEngine(path) as engine:
        return engine.run(feed(volumes))["embedding"]


def error(path: Path, model32: Path, volumes: list[Volume]) -> float:
    expected = embedding(model32, volumes)
    return float(np.linalg.norm(embedding(path, volumes) - expected) / np.linalg.norm(expected))


def test_every_convolution_reads_symmetric_int8(model8: Path) -> None:
    graph = onnx.load(model8).graph
    convs = [node.name for node in graph.node if node.op_type == "Conv"]
    assert kind(model8) == "int8"
    assert qdq.quantised(onnx.load(model8)) == convs
    assert len(convs) == 21  # and the one that makes the first one's channels
    zeros = {node.input[2] for node in graph.node if node.op_type.endswith("Linear")}
    kinds = {weight.data_type for weight in graph.initializer if weight.name in zeros}
    assert kinds == {TensorProto.INT8}


def test_weights_have_seven_bits(model8: Path) -> None:
    graph = onnx.load(model8).graph
    kernels = [
        onnx.numpy_helper.to_array(weight).astype(int)
        for weight in graph.initializer
        if weight.data_type == TensorProto.INT8 and len(weight.dims) == 5
    ]
    assert len(kernels) == 21
    assert {abs(kernel).max() for kernel in kernels} == {64}  # each uses all of its range


def test_gives_the_same_on_a_processor_without_vnni(
    model8: Path, volumes: list[Volume], tmp_path: Path
) -> None:
    """There oneDNN adds in 16 bits; its documented switch makes any processor do so."""
    pytest.importorskip("openvino")
    script = """
import sys
from pathlib import Path
import numpy as np
from runtime.engines.openvino import OpenVINOEngine
with np.load(sys.argv[2]) as fed, OpenVINOEngine(Path(sys.argv[1])) as engine:
    np.save(sys.argv[3], engine.run(dict(fed))["embedding"])
"""
    np.savez(tmp_path / "fed.npz", **feed(volumes))
    found = []
    for isa in ("ALL", "AVX512_CORE"):  # the second is AVX-512 before VNNI, or what is below it
        target = tmp_path / f"{isa}.npy"
        subprocess.run(
            [sys.executable, "-c", script, model8, tmp_path / "fed.npz", target],
            env={**os.environ, "ONEDNN_MAX_CPU_ISA": isa},
            check=True,
        )
        found.append(np.load(target))
    full, lower = found
    assert np.linalg.norm(lower - full) < 1e-5 * np.linalg.norm(full)


def test_is_near_the_model_it_came_from_on_a_volume_it_was_not_calibrated_on(
    model8: Path, model32: Path, volumes: list[Volume]
) -> None:
    assert 1e-4 < error(model8, model32, volumes[2:]) < 0.05


def test_the_mean_embedding_is_not_shifted_and_the_maps_still_add_up(
    model8: Path, model32: Path, volumes: list[Volume]
) -> None:
    known = volumes[:2]  # those it was calibrated on
    with OpenVINOEngine(model8, precision="int8") as ours, OpenVINOEngine(model32) as reference:
        got, wanted = (one.run(feed(known))["embedding"] for one in (ours, reference))
    off = got - wanted
    assert np.abs(off.mean(axis=0)).max() < 1e-4 * np.abs(wanted).max()
    assert np.abs(off).max() > 1e-3 * np.abs(wanted).max()  # one by one they are off
    with OnnxRuntimeEngine(model8, precision="int8") as engine:
        found = engine.run(feed(volumes))
    np.testing.assert_allclose(found["age_map"].mean(axis=(2, 3, 4)), found["age"], rtol=1e-4)


def test_is_a_quarter_of_the_size(model8: Path, model32: Path) -> None:
    weights = [onnx.load(path).graph.initializer for path in (model8, model32)]
    small, large = (sum(len(w.raw_data) for w in one) for one in weights)
    assert small < 0.4 * large  # a narrow network: its biases and heads are a larger part


def test_all_in_float_is_the_plain_model(
    model8: Path, model32: Path, volumes: list[Volume], tmp_path: Path
) -> None:
    plain = onnx.load(model32)
    stem.rearrange(plain)
    model = onnx.load(model8)
    mixed = qdq.in_float(model, plain, qdq.quantised(model))
    (shift,) = [w for w in mixed.graph.initializer if w.name == "features_shift"]
    zeros = np.zeros_like(onnx.numpy_helper.to_array(shift))
    shift.CopyFrom(onnx.numpy_helper.from_array(zeros, shift.name))
    assert qdq.quantised(mixed) == []
    assert not any(node.op_type.endswith("Linear") for node in mixed.graph.node)
    onnx.save(mixed, tmp_path / "mixed.onnx")
    assert error(tmp_path / "mixed.onnx", model32, volumes) < 1e-5


@pytest.mark.slow
def test_the_layer_that_cannot_bear_int8_is_the_one_let_off(
    model32: Path, volumes: list[Volume], tmp_path: Path
) -> None:
    # One filter 1000 times its neighbours leaves the next layer's other inputs 0 or 1 step of int8.
    model = onnx.load(model32)
    weights = {w.name: w for w in model.graph.initializer}
    convs = [node for node in model.graph.node if node.op_type == "Conv"]
    spoilt, reader = convs[1], convs[2]
    for name, axis, factor in ((spoilt.input[1], 0, 1e3), (reader.input[1], 1, 1e-3)):
        values = onnx.numpy_helper.to_array(weights[name]).copy()
        values[(slice(None),) * axis + (0,)] *= factor
        weights[name].CopyFrom(onnx.numpy_helper.from_array(values, name))
    bias = onnx.numpy_helper.to_array(weights[spoilt.input[2]]).copy()
    bias[0] *= 1e3
    weights[spoilt.input[2]].CopyFrom(onnx.numpy_helper.from_array(bias, spoilt.input[2]))
    hard = tmp_path / "hard.onnx"
    onnx.save(model, hard)
    assert error(hard, model32, volumes) < 1e-5  # the same function as before

    allowed = 0.05
    mix = to_int8(
        hard,
        tmp_path / "mixed.onnx",
        volumes[:2],
        score=lambda path: error(path, hard, volumes[2:]) / allowed,
    )
    assert mix.full > 1 >= mix.share
    kept = [layer.name for layer in mix.layers if layer.precision == "float32"]
    assert kept == [reader.input[1].removesuffix(".weight")]
    assert all(layer.share is not None for layer in mix.layers)
    assert mix.describe() == f"19 of 20 convolutions in int8; in float32: {kept[0]}"
    assert error(tmp_path / "mixed.onnx", hard, volumes[2:]) == mix.share * allowed


@pytest.mark.slow
def test_layers_are_ranked_by_the_quick_score_and_passed_by_the_other(
    model32: Path, volumes: list[Volume], tmp_path: Path
) -> None:
    calls = {"score": 0, "quick": 0}

    def score(path: Path) -> float:
        calls["score"] += 1
        return 3.0 - calls["score"]  # all in int8: 2; with one layer in floating point: 1

    def quick(path: Path) -> float:
        calls["quick"] += 1
        return 0.5 if calls["quick"] == 7 else 0.9

    mix = to_int8(model32, tmp_path / "mixed.onnx", volumes[:1], score, quick)
    assert calls == {"score": 2, "quick": 20}
    assert [layer.precision for layer in mix.layers].index("float32") == 6
    assert (mix.full, mix.share) == (2.0, 1.0)


@pytest.mark.slow
def test_a_gate_that_never_passes_leaves_nothing_quantised(
    model32: Path, volumes: list[Volume], tmp_path: Path
) -> None:
    mix = to_int8(model32, tmp_path / "none.onnx", volumes[:1], score=lambda _: float("nan"))
    assert {layer.precision for layer in mix.layers} == {"float32"}
    assert qdq.quantised(onnx.load(tmp_path / "none.onnx")) == []


def test_every_mixture_of_int8_and_float_opens(
    model8: Path, model32: Path, volumes: list[Volume], tmp_path: Path
) -> None:
    """One of them OpenVINO 2026.4 cannot compile beside bfloat16 layers."""
    plain, whole = onnx.load(model32), onnx.load(model8)
    stem.rearrange(plain)
    weights = {node.name: node.input[1] for node in plain.graph.node if node.op_type == "Conv"}
    last = [name for name in qdq.quantised(whole) if "layer4" in weights[name]]
    for name in last:
        path = tmp_path / f"{name}.onnx"
        onnx.save(qdq.in_float(whole, plain, [name]), path)
        with OpenVINOEngine(path, precision="int8") as engine:
            found = engine.run(feed(volumes[:1]))["embedding"]
        wanted = embedding(model32, volumes[:1])
        assert np.linalg.norm(found - wanted) < 0.1 * np.linalg.norm(wanted)


def test_needs_a_calibration_volume(model32: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="calibration volume"):
        to_int8(model32, tmp_path / "out.onnx", [], score=lambda _: 0.0)
    assert list(tmp_path.iterdir()) == []
