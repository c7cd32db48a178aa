"""Both engines against the same arithmetic in NumPy and SciPy, and what each refuses."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import ndimage

from fmtool.errors import CapabilityError
from runtime.engines import cuda, onnxruntime, openvino
from runtime.engines.base import Arrays, Engine
from runtime.engines.onnxruntime import OnnxRuntimeEngine
from runtime.engines.openvino import OpenVINOEngine

ENGINES = {"openvino": OpenVINOEngine, "onnxruntime": OnnxRuntimeEngine}
SHAPE = (6, 7, 8)


@pytest.fixture(params=ENGINES)
def engine_class(request: pytest.FixtureRequest) -> type[Engine]:
    pytest.importorskip(request.param)
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
    ov = pytest.importorskip("openvino")
    if "bfloat16" not in openvino.precisions(ov.Core()):
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
    monkeypatch.setattr(openvino, "precisions", lambda core: ("float32",))
    with pytest.raises(CapabilityError, match=precision):
        engine_class(model, precision=precision)


def test_openvino_refuses_a_gpu(model: Path) -> None:
    pytest.importorskip("openvino")
    with pytest.raises(CapabilityError, match="CPU"):
        OpenVINOEngine(model, device="cuda:0")


def test_no_driver_is_refused_before_a_session_is_made(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxruntime")
    monkeypatch.setattr(cuda, "_LIBRARY", "libcuda-that-is-not-there.so")
    with pytest.raises(CapabilityError, match=r"cuda:0 .*no NVIDIA driver"):
        OnnxRuntimeEngine(model, device="cuda")


def test_a_silent_fallback_is_refused(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ONNX Runtime may answer a request for CUDA with a session on the CPU."""

    class Session:
        def __init__(self, *args: object, **kwargs: object) -> None: ...

        def get_providers(self) -> list[str]:
            return ["CPUExecutionProvider"]

    entries: list[tuple[str, str]] = []
    options = SimpleNamespace(add_session_config_entry=lambda *entry: entries.append(entry))
    fake = SimpleNamespace(
        __version__="0",
        SessionOptions=lambda: options,
        InferenceSession=Session,
        get_available_providers=lambda: ["CUDAExecutionProvider"],
    )
    monkeypatch.setattr(onnxruntime, "load", lambda: fake)
    monkeypatch.setattr(cuda, "missing", lambda number: None)
    with pytest.raises(CapabilityError, match="CPUExecutionProvider instead"):
        OnnxRuntimeEngine(model, device="cuda:0")
    assert ("session.disable_cpu_ep_fallback", "1") in entries


@pytest.mark.parametrize("name", ENGINES)
def test_a_missing_library_names_the_extra(
    name: str, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, name, None)  # makes `import` fail
    with pytest.raises(CapabilityError, match=r"fmtool\[cpu\]"):
        ENGINES[name](model)


@pytest.mark.gpu
def test_cuda_reproduces_numpy(model: Path, weights: np.ndarray) -> None:
    pytest.importorskip("onnxruntime")
    missing = onnxruntime.cuda_missing()
    if missing:
        pytest.skip(f"no CUDA: {missing}")
    given = inputs(2)
    with OnnxRuntimeEngine(model, device="cuda") as engine:
        outputs = engine.run(given)
    assert engine.device == "cuda:0"
    for name, values in expected(given, weights).items():
        np.testing.assert_allclose(outputs[name], values, rtol=1e-4, atol=1e-5)
