"""The rearranged first convolution computes what the plain one does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper

from export.int8 import stem
from export.reference import Volume, feed

SHAPE = (6, 5, 13)


def network(kernel: tuple[int, ...], **settings: list[int]) -> onnx.ModelProto:
    """[2, channels, z, y, x] -> one convolution of three filters."""
    weight = np.random.default_rng(0).normal(size=(3, *kernel)).astype(np.float32)
    float32 = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [helper.make_node("Conv", ["volume", "w", "b"], ["out"], "first", **settings)],
        "one",
        [helper.make_tensor_value_info("volume", float32, [2, kernel[0], *SHAPE])],
        [helper.make_tensor_value_info("out", float32, [None] * 5)],
        [
            numpy_helper.from_array(weight, "w"),
            numpy_helper.from_array(np.array([1, 2, 3], np.float32), "b"),
        ],
    )
    opset = [helper.make_opsetid("", 18)]
    return helper.make_model(graph, opset_imports=opset, ir_version=9)


def run(model: onnx.ModelProto) -> np.ndarray:
    onnx.checker.check_model(model, full_check=True)
    channels = model.graph.input[0].type.tensor_type.shape.dim[1].dim_value
    volume = np.random.default_rng(1).normal(size=(2, channels, *SHAPE)).astype(np.float32)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return session.run(None, {"volume": volume})[0]


@pytest.mark.parametrize(
    ("kernel", "settings"),
    [
        ((1, 7, 3, 7), {"pads": [3, 1, 3, 3, 1, 3]}),
        ((1, 3, 3, 5), {"pads": [1, 0, 2, 0, 1, 1]}),
        ((1, 1, 1, 8), {}),
        ((1, 3, 3, 7), {"strides": [2, 1, 1], "dilations": [1, 2, 1], "pads": [0, 0, 3, 0, 0, 3]}),
    ],
)
def test_gives_the_plain_convolutions_sums(
    kernel: tuple[int, ...], settings: dict[str, list[int]]
) -> None:
    model = network(kernel, **settings)
    expected = run(model)
    stem.rearrange(model)
    assert [node.name for node in model.graph.node] == [stem.SHIFT, "first"]
    got = run(model)
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize(
    ("kernel", "settings"),
    [
        ((2, 3, 3, 7), {}),
        ((1, 3, 3, 4), {}),
        ((1, 3, 3, 7), {"strides": [1, 1, 2]}),
        ((1, 3, 3, 5), {"dilations": [1, 1, 2]}),
    ],
)
def test_leaves_others_as_they_are(kernel: tuple[int, ...], settings: dict[str, list[int]]) -> None:
    model = network(kernel, **settings)
    before = model.SerializeToString()
    stem.rearrange(model)
    assert model.SerializeToString() == before


def test_an_exported_model_keeps_its_outputs(model32: Path, volumes: list[Volume]) -> None:
    model = onnx.load(model32)
    stem.rearrange(model)
    onnx.checker.check_model(model, full_check=True)
    inputs = feed(volumes)
    expected = onnxruntime.InferenceSession(model32).run(None, inputs)
    for got, wanted in zip(
        onnxruntime.InferenceSession(model.SerializeToString()).run(None, inputs),
        expected,
        strict=True,
    ):
        np.testing.assert_allclose(got, wanted, atol=1e-5 * np.abs(wanted).max())
