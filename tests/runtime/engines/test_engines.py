"""The CPU's engines against the same arithmetic in NumPy and SciPy, and what each refuses."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import MagicMock

import numpy as np
import pytest
from scipy import ndimage

from fmtool.errors import CapabilityError
from runtime.engines import cuda, here, openvino, table
from runtime.engines.base import Arrays, Engine, module
from runtime.engines.onnxruntime import OnnxRuntimeEngine
from runtime.engines.openvino import OpenVINOEngine
from runtime.engines.openvino import core as openvino_core

ENGINES = {
    row.name: module(row.module).ENGINE if row.module else OnnxRuntimeEngine
    for row in table.ROWS
    if row.device == "cpu"
}
SHAPE = (6, 7, 8)


@pytest.fixture(params=ENGINES)
def engine_class(request: pytest.FixtureRequest) -> type[Engine]:
    row = table.find(request.param, "cpu")
    if lacks := here.missing(row):
        pytest.skip(lacks)
    return ENGINES[request.param]


def inputs(batch: int, seed: int = 1) -> Arrays:
    rng = np.random.default_rng(seed)
    volume = rng.normal(size=(batch, 1, *SHAPE)).astype(np.float32)
    return {"volume": volume, "mask": (rng.random(volume.shape) < 0.7).astype(np.float32)}


def expected(given: Arrays, weights: np.ndarray) -> Arrays:
    """The network, voxel by voxel: ONNX's Conv is a correlation with zeros around."""
    masked = given["volume"] * given["mask"]
    rows = [
        [np.maximum(ndimage.correlate(item[0], w[0], mode="constant"), 0).mean() for w in weights]
        for item in masked
    ]
    embedding = np.array(rows, dtype=np.float32)
    return {"embedding": embedding, "age": embedding.sum(axis=1, keepdims=True)}


@pytest.mark.parametrize("batch", [1, 3])
def test_reproduces_numpy(
    engine_class: type[Engine], model: Path, weights: np.ndarray, batch: int
) -> None:
    given = inputs(batch)
    with engine_class(model) as engine:
        outputs = engine.run(given)
    assert outputs.keys() == {"embedding", "age"}
    for name, values in expected(given, weights).items():
        assert outputs[name].dtype == np.float32
        np.testing.assert_allclose(outputs[name], values, rtol=1e-5, atol=1e-6)


def test_an_earlier_result_survives_the_next_run(engine_class: type[Engine], model: Path) -> None:
    with engine_class(model) as engine:
        first = engine.run(inputs(1, seed=1))
        copy = {k: v.copy() for k, v in first.items()}
        engine.run(inputs(1, seed=2))
    for name, values in copy.items():
        np.testing.assert_array_equal(first[name], values)


def test_takes_views_and_other_types(engine_class: type[Engine], model: Path) -> None:
    given = inputs(2)
    awkward = {k: np.asfortranarray(v.astype(np.float64)) for k, v in given.items()}
    with engine_class(model) as engine:
        plain, same = engine.run(given), engine.run(awkward)
    np.testing.assert_array_equal(plain["embedding"], same["embedding"])


def test_says_what_it_is(engine_class: type[Engine], model: Path) -> None:
    with engine_class(model) as engine:
        assert engine.describe() == f"{engine.library} {engine.version}, cpu, float32"
        assert engine.version[0].isdigit()


def test_bfloat16_rounds_but_does_not_break(model: Path, weights: np.ndarray) -> None:
    if "bfloat16" not in openvino_core.precisions():
        pytest.skip("this CPU has no bfloat16 instructions")
    given = inputs(1)
    with OpenVINOEngine(model, precision="bfloat16") as engine:
        got = engine.run(given)["embedding"]
    wanted = expected(given, weights)["embedding"]
    assert np.linalg.norm(got - wanted) < 2e-2 * np.linalg.norm(wanted)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_a_precision_that_is_not_to_be_had_is_refused(
    engine_class: type[Engine], model: Path, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openvino, "precisions", lambda: ("float32",))
    with pytest.raises(CapabilityError, match=precision):
        engine_class(model, precision=precision)


@pytest.mark.parametrize("abilities", [["FP32"], ["FP32", "BF16"]])
def test_int8_computes_the_rest_in_bfloat16_where_the_cpu_has_it(
    abilities: list[str], monkeypatch: pytest.MonkeyPatch, model: Path
) -> None:
    asked: dict[str, str] = {}

    def compile_model(network: object, device: str, settings: dict[str, str]) -> MagicMock:
        asked.update(settings)
        return MagicMock(outputs=[])

    core = MagicMock(compile_model=compile_model)
    core.get_property.side_effect = lambda device, key: abilities
    monkeypatch.setattr(openvino_core, "core", lambda: core)
    monkeypatch.setattr(openvino.metadata, "version", lambda name: "1")
    with OpenVINOEngine(model, precision="int8") as engine:
        assert engine.precision == "int8"
    wanted = "bf16" if "BF16" in abilities else "f32"
    assert asked["INFERENCE_PRECISION_HINT"] == wanted


def test_openvino_refuses_a_gpu(model: Path) -> None:
    pytest.importorskip("openvino")
    with pytest.raises(CapabilityError, match="CPU"):
        OpenVINOEngine(model, device="cuda:0")


def test_no_driver_is_refused_before_a_session_is_made(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxruntime")
    monkeypatch.setattr(cuda, "_LIBRARY", "libcuda-that-is-not-there.so")
    with pytest.raises(CapabilityError, match=r"cuda:0: no NVIDIA driver"):
        OnnxRuntimeEngine(model, device="cuda")


@pytest.mark.parametrize("name", ["openvino", "onnxruntime"])
def test_a_missing_library_names_the_extra(
    name: str, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, name, None)  # makes `import` fail
    monkeypatch.setattr(openvino_core, "_core", openvino_core._core.__wrapped__)
    with pytest.raises(CapabilityError, match=r"fmtool\[cpu\]"):
        ENGINES[name](model)
