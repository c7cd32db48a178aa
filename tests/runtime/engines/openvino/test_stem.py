"""The rearranged first convolution computes what the plain one does, and takes its place."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from runtime.engines.openvino import stem as openvino_stem
from runtime.engines.openvino.core import core

ov = pytest.importorskip("openvino")
ops = pytest.importorskip("openvino.opset13")

SHAPE = (9, 8, 13)


def network(kernel: tuple[int, ...], begin: list[int], end: list[int], **other: Any) -> Any:
    """[?, channels, z, y, x] -> one convolution of three filters."""
    weight = np.random.default_rng(0).normal(size=(3, *kernel)).astype(np.float32)
    volume = ops.parameter([-1, kernel[0], *SHAPE], np.float32, "volume")
    steps = {"strides": [1, 1, 1], "dilations": [1, 1, 1], **other}
    conv = ops.convolution(
        volume, ops.constant(weight), steps["strides"], begin, end, steps["dilations"]
    )
    conv.set_friendly_name("first")
    return ov.Model([ops.result(conv)], [volume])


def run(model: Any, channels: int = 1) -> np.ndarray:
    volume = np.random.default_rng(1).normal(size=(2, channels, *SHAPE)).astype(np.float32)
    compiled = core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return np.array(compiled([volume])[0])


@pytest.mark.parametrize(
    ("kernel", "begin", "end", "other"),
    [
        ((1, 7, 7, 7), [3, 3, 3], [3, 3, 3], {}),
        ((1, 3, 3, 5), [1, 0, 2], [0, 1, 2], {}),
        ((1, 1, 1, 8), [0, 0, 1], [0, 0, 6], {}),
        ((1, 3, 3, 7), [1, 1, 0], [1, 1, 0], {"strides": [2, 1, 1], "dilations": [1, 2, 1]}),
    ],
)
def test_gives_the_plain_convolutions_sums(
    kernel: tuple[int, ...], begin: list[int], end: list[int], other: dict[str, list[int]]
) -> None:
    model = network(kernel, begin, end, **other)
    expected = run(model)
    assert openvino_stem.rearrange(model) == 1
    got = run(model)
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, atol=1e-5 * np.abs(expected).max())


def test_the_rearranged_one_reads_four_channels_and_keeps_its_name() -> None:
    model = network((1, 7, 7, 7), [3, 3, 3], [3, 3, 3])
    openvino_stem.rearrange(model)
    (conv,) = [op for op in model.get_ordered_ops() if op.get_type_name() == "Convolution"]
    assert conv.get_friendly_name() == "first"
    assert list(conv.input_value(1).get_node().shape) == [3, 4, 7, 7, 2]


@pytest.mark.parametrize(
    ("kernel", "other"),
    [
        ((2, 3, 3, 7), {}),  # several channels
        ((1, 3, 3, 3), {}),  # too few taps to gain
        ((1, 3, 3, 7), {"strides": [1, 1, 2]}),
        ((1, 3, 3, 7), {"dilations": [1, 1, 2]}),
    ],
)
def test_leaves_others_as_they_are(kernel: tuple[int, ...], other: dict[str, list[int]]) -> None:
    model = network(kernel, [0, 0, 6], [0, 0, 6], **other)
    expected = run(model, kernel[0])
    assert openvino_stem.rearrange(model) == 0
    np.testing.assert_array_equal(run(model, kernel[0]), expected)
