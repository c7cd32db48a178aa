"""A tiny network with the shape of the real one: dynamic batch, two inputs, two outputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

SHAPE = (6, 7, 8)


@pytest.fixture(scope="session")
def weights() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(2, 1, 3, 3, 3)).astype(np.float32)


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory, weights: np.ndarray) -> Path:
    """embedding = mean over voxels of relu(conv(volume * mask)); age = its two channels' sum."""
    onnx = pytest.importorskip("onnx")
    helper, float32 = onnx.helper, onnx.TensorProto.FLOAT
    whole = ["batch", 1, *SHAPE]
    nodes = [
        helper.make_node("Mul", ["volume", "mask"], ["masked"]),
        helper.make_node("Conv", ["masked", "weights"], ["conv"], pads=[1] * 6),
        helper.make_node("Relu", ["conv"], ["relu"]),
        helper.make_node("ReduceMean", ["relu"], ["embedding"], axes=[2, 3, 4], keepdims=0),
        helper.make_node("MatMul", ["embedding", "ones"], ["age"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(n, float32, whole) for n in ("volume", "mask")],
        [
            helper.make_tensor_value_info("embedding", float32, ["batch", 2]),
            helper.make_tensor_value_info("age", float32, ["batch", 1]),
        ],
        [
            onnx.numpy_helper.from_array(weights, "weights"),
            onnx.numpy_helper.from_array(np.ones((2, 1), np.float32), "ones"),
        ],
    )
    path = tmp_path_factory.mktemp("tiny") / "tiny.onnx"
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(made, str(path))
    return path
