"""A quantised network laid out for OpenVINO computes what a plain evaluation of it does."""

from __future__ import annotations

import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from runtime.engines import openvino
from runtime.engines.openvino import OpenVINOEngine
from runtime.engines.openvino import int8 as openvino_int8
from runtime.engines.openvino import slabs as openvino_slabs
from runtime.engines.openvino.core import core

pytest.importorskip("openvino")

SHAPE = (1, 1, 14, 9, 11)
STEP = {"volume": 0.03, "pooled": 0.08, "inner": 0.2, "sum": 0.3}


class Graph:
    """A quantised residual block behind a first convolution, node by node."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.random = np.random.default_rng(0)

    def add(self, kind: str, *inputs: str, name: str = "", **settings: Any) -> str:
        out = name or f"value_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [out], f"node_{out}", **settings))
        return out

    def weight(self, values: np.ndarray, name: str = "") -> str:
        name = name or f"weight_{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(values, name))
        return name

    def rounded(self, value: str, step: float, zero: int = 0) -> str:
        scale = self.weight(np.float32(step)), self.weight(np.int8(zero))
        whole = self.add("QuantizeLinear", value, *scale)
        return self.add("DequantizeLinear", whole, *scale)

    def conv(self, value: str, name: str, channels: int, filters: int) -> str:
        whole = self.random.integers(-127, 128, (filters, channels, 3, 3, 3)).astype(np.int8)
        scale = self.random.uniform(1e-3, 4e-3, filters).astype(np.float32) / channels
        zero = np.zeros(filters, np.int8)
        names = [self.weight(each) for each in (whole, scale, zero)]
        kernel = self.add("DequantizeLinear", *names, axis=0)
        bias = self.weight(self.random.normal(0, 0.1, filters).astype(np.float32))
        return self.add("Conv", value, kernel, bias, name=name, pads=[1] * 6)

    def save(self, path: Path, output: str, shape: list[int]) -> Path:
        graph = helper.make_graph(
            self.nodes,
            "block",
            [helper.make_tensor_value_info("volume", TensorProto.FLOAT, SHAPE)],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, shape)],
            self.weights,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])
        model.ir_version = 9
        onnx.checker.check_model(model)
        onnx.save(model, path)
        return path


@pytest.fixture
def block(tmp_path: Path) -> Path:
    made = Graph()
    first = made.add("Relu", made.conv(made.rounded("volume", STEP["volume"]), "first", 1, 16))
    pooled = made.add(
        "MaxPool", first, name="pool", kernel_shape=[3] * 3, strides=[2] * 3, pads=[1] * 6
    )
    entrance = made.rounded(pooled, STEP["pooled"])
    inner = made.add("Relu", made.conv(entrance, "second", 16, 16))
    branch = made.conv(made.rounded(inner, STEP["inner"]), "third", 16, 16)
    whole = made.add("Relu", made.add("Add", branch, entrance, name="sum"))
    last = made.conv(made.rounded(whole, STEP["sum"]), "last", 16, 4)
    return made.save(tmp_path / "block.onnx", last, [1, 4, 7, 5, 6])


@pytest.fixture
def volume() -> np.ndarray:
    return np.random.default_rng(1).normal(0, 1, SHAPE).astype(np.float32)


@pytest.fixture(autouse=True)
def no_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that what is not quantised is computed exactly."""
    monkeypatch.setattr(openvino, "precisions", lambda: ("float32", "int8"))


def plainly(path: Path, volume: np.ndarray) -> np.ndarray:
    (out,) = ReferenceEvaluator(str(path)).run(None, {"volume": volume})
    return np.asarray(out)


def run(path: Path, volume: np.ndarray) -> np.ndarray:
    with OpenVINOEngine(path, precision="int8") as engine:
        (out,) = engine.run({"volume": volume}).values()
    return out


def error(got: np.ndarray, wanted: np.ndarray) -> float:
    assert got.shape == wanted.shape
    return float(np.linalg.norm(got - wanted) / np.linalg.norm(wanted))


def test_gives_what_a_plain_evaluation_of_the_file_gives(block: Path, volume: np.ndarray) -> None:
    wanted = plainly(block, volume)
    assert np.linalg.norm(wanted) > 1
    # A number halfway between two steps may be rounded to either.
    assert error(run(block, volume), wanted) < 5e-3


def test_the_order_of_pooling_and_rounding_is_changed_and_the_offset_is_gone(block: Path) -> None:
    model = core().read_model(block)
    assert openvino_int8.arrange(model) == 3
    rounded = [op for op in model.get_ordered_ops() if op.get_type_name() == "FakeQuantize"]
    lowest = sorted(op.input_value(1).get_node().data.item() for op in rounded)
    assert lowest[0] == pytest.approx(-128 * STEP["volume"])
    assert lowest[1:] == [0, 0, 0]
    (pool,) = [op for op in model.get_ordered_ops() if op.get_type_name() == "MaxPool"]
    assert pool.input_value(0).get_node().get_type_name() == "FakeQuantize"
    readers = [each.get_node().get_type_name() for each in pool.output(0).get_target_inputs()]
    assert sorted(readers) == ["Add", "Convolution"]
    (larger,) = [op for op in model.get_ordered_ops() if op.get_type_name() == "Maximum"]
    assert larger.output(0).get_partial_shape()[1] == 1


def test_whole_or_in_slabs_the_numbers_are_the_same(block: Path, volume: np.ndarray) -> None:
    found = []
    for count in (1, 3, 7):
        model = core().read_model(block)
        openvino_int8.arrange(model)
        if count > 1:
            assert openvino_slabs.cut(model, count) == count
        settings = {"INFERENCE_PRECISION_HINT": "f32", **openvino_int8.SETTINGS}
        found.append(np.array(core().compile_model(model, "CPU", settings)([volume])[0]))
    for slabs in found[1:]:
        np.testing.assert_array_equal(slabs, found[0])


def test_beyond_the_calibrated_range_nothing_is_cut_off(tmp_path: Path) -> None:
    made = Graph()
    whole = made.rounded(made.add("Relu", "volume"), 0.1)
    path = made.save(tmp_path / "identity.onnx", made.add("Identity", whole), list(SHAPE))
    volume = np.resize(np.float32([-3, 0, 1.24, 12.7, 20, 25.5, 30]), SHAPE)
    wanted = np.resize(np.float32([0, 0, 1.2, 12.7, 20, 25.5, 25.5]), SHAPE)
    np.testing.assert_allclose(run(path, volume), wanted, atol=1e-5)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="how OpenVINO fuses on x86-64")
def test_the_sum_is_computed_in_bytes_in_the_convolution_before_it(block: Path) -> None:
    model = core().read_model(block)
    openvino_int8.arrange(model)
    compiled = core().compile_model(model, "CPU", openvino_int8.SETTINGS)
    kernels = [op.get_rt_info() for op in compiled.get_runtime_model().get_ordered_ops()]
    (one,) = [k for k in kernels if "node_sum" in str(k["originalLayersNames"].value)]
    assert one["layerType"].value == "Convolution"
    assert one["outputPrecisions"].value == "u8"


def with_a_zero_point(made: Graph) -> str:
    return made.rounded(made.add("Relu", "volume"), 0.1, zero=-3)


def of_what_may_be_negative(made: Graph) -> str:
    return made.rounded(made.conv("volume", "conv", 1, 2), 0.1)


def read_as_whole_numbers(made: Graph) -> str:
    rounded = made.rounded(made.add("Relu", "volume"), 0.1)
    whole = made.add("Cast", made.nodes[-1].input[0], to=TensorProto.FLOAT)
    return made.add("Add", rounded, whole)


@pytest.mark.parametrize(
    "make", [with_a_zero_point, of_what_may_be_negative, read_as_whole_numbers]
)
def test_what_is_no_such_rounding_stays(make: Callable[[Graph], str], tmp_path: Path) -> None:
    made = Graph()
    output = made.add("Identity", make(made))
    shape = [1, 2, *SHAPE[2:]] if make is of_what_may_be_negative else list(SHAPE)
    model = core().read_model(made.save(tmp_path / "other.onnx", output, shape))
    before = [op.get_type_name() for op in model.get_ordered_ops()]
    assert openvino_int8.arrange(model) == 0
    assert [op.get_type_name() for op in model.get_ordered_ops()] == before


def test_a_release_that_does_not_know_the_setting_does_without_it(
    block: Path, volume: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = run(block, volume)
    monkeypatch.setattr(openvino_int8, "SETTINGS", {"NO_SUCH_SETTING": "DISABLE"})
    assert error(run(block, volume), wanted) < 5e-3


def test_another_complaint_of_openvinos_is_passed_on(
    block: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openvino_int8, "SETTINGS", {"SNIPPETS_MODE": "NO_SUCH_VALUE"})
    with pytest.raises(RuntimeError, match="NO_SUCH_VALUE"):
        OpenVINOEngine(block, precision="int8")
