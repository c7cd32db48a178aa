"""Instance normalisation by OpenVINO: right, and the same with any number of threads."""

from __future__ import annotations

import numpy as np
import pytest

from fmtool import bundle as bundles
from runtime.engines.openvino import norm

openvino = pytest.importorskip("openvino")


def model(shape):
    from openvino import opset13 as ops

    volume = ops.parameter(list(shape), np.float32, name="volume")
    made = ops.mvn(volume, np.array([2, 3, 4]), True, 1e-5, "INSIDE_SQRT")
    return openvino.Model([made], [volume])


def behind_a_convolution(x):
    """A model of the two, and what float64 says of it."""
    from openvino import opset13 as ops

    weight = 0.2 * np.random.default_rng(1).normal(size=(16, 1, 3, 3, 3)).astype(np.float32)
    volume = ops.parameter(list(x.shape), np.float32, name="volume")
    values = ops.convolution(volume, ops.constant(weight), *([[1, 1, 1]] * 4))
    exact = run(openvino.Model([values], [volume]), x, 1).astype(np.float64)
    made = ops.mvn(values, np.array([2, 3, 4]), True, 1e-5, "INSIDE_SQRT")
    return openvino.Model([made], [volume]), normal(exact)


def normal(exact):
    axes = (2, 3, 4)
    spread = np.sqrt(exact.var(axes, keepdims=True) + 1e-5)
    return (exact - exact.mean(axes, keepdims=True)) / spread


def run(network, x, threads):
    settings = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(network, "CPU", settings)
    return np.array(next(iter(compiled({0: x}).values())))


@pytest.mark.parametrize("threads", [1, 2])
def test_it_is_what_float64_says(threads):
    rng = np.random.default_rng(0)
    x = rng.normal(30.0, 2.0, (1, 4, 20, 24, 28)).astype(np.float32)
    network = model(x.shape)
    assert norm.by_axis(network) == 1
    np.testing.assert_allclose(run(network, x, threads), normal(x.astype(np.float64)), atol=2e-5)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_million_voxels_behind_a_convolution(threads):
    """There OpenVINO's own is off by 1e-2."""
    x = np.abs(np.random.default_rng(0).normal(size=(1, 1, 96, 96, 96))).astype(np.float32)
    x[..., :48] = 0
    network, exact = behind_a_convolution(x)
    assert norm.by_axis(network) == 1
    np.testing.assert_allclose(run(network, x, threads), exact, atol=2e-5)


@pytest.mark.parametrize("side", [2, 4, 8, 16])
def test_short_sums_have_the_same_bits_with_any_number_of_threads(side):
    """OpenVINO's own differ in the last ones, and a voxel at the mask's border with them."""
    x = np.random.default_rng(0).normal(size=(1, 1, side, side, side)).astype(np.float32)
    network, exact = behind_a_convolution(x)
    assert norm.by_axis(network) == 1
    one, two = run(network, x, 1), run(network, x, 2)
    np.testing.assert_array_equal(one, two)
    np.testing.assert_allclose(one, exact, atol=2e-5)


def test_the_brain_is_where_it_was_with_any_number_of_threads():
    """A smooth head in noise through the network that locates it, on one thread and on two."""
    z, y, x = np.mgrid[-1:1:128j, -1:1:128j, -1:1:128j].astype(np.float32)
    ball = np.clip(2.0 - 3.0 * np.sqrt(x**2 + y**2 + z**2), 0.0, 1.0)
    volume = ball + 0.05 * np.random.default_rng(0).normal(size=ball.shape).astype(np.float32)
    found = []
    with bundles.open() as bundle:
        raw = bundle.read(bundle.manifest.strip.locate)
        for threads in (1, 2):
            network = openvino.Core().read_model(raw)
            assert norm.by_axis(network) > 0
            found.append(run(network, volume[None, None], threads))
    np.testing.assert_array_equal(*found)
