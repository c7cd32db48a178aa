"""From a bundle to a running engine: found, or built and told why, for the GPU at hand."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pytest

from fmtool.errors import CapabilityError, EngineError
from runtime.engines import cuda
from runtime.engines.cache import store
from runtime.engines.cache.key import Key
from runtime.engines.trt import cached
from runtime.engines.trt.build import Plan
from runtime.engines.trt.open import open_cached

BUNDLE = SimpleNamespace(digest="d1g", name="tiny", graph=lambda precision: b"model")


@pytest.fixture
def built(library, monkeypatch):
    """The builds that took place: (library, target, batches, GPU number)."""
    builds = []

    def build(model, library, target, batches, options, timings, number):
        builds.append((library, target, batches, number))
        return Plan(b"engine", library, "10.16.1", target, {}, {})

    monkeypatch.setattr(cached, "build", build)
    return builds


@pytest.fixture
def start(tmp_path):
    said = []

    def run(library="tensorrt", device="cuda:0"):
        return open_cached(BUNDLE, library, device, "float16", tmp_path, said.append)

    return SimpleNamespace(run=run, said=said, folder=tmp_path)


def test_built_at_first_and_then_found(built, start, cubes):
    for _ in range(2):
        with start.run() as engine:
            assert engine.run(cubes()[0]).keys() == {"embedding", "age"}
            assert (engine.library, engine.device, engine.precision) == (
                "tensorrt", "cuda:0", "float16",
            )  # fmt: skip
    assert built == [("tensorrt", "sm89", (1, 1, 1), 0)]
    assert start.said == ["Building the TensorRT engine for sm89"]
    assert (start.folder / "d1g" / "model.fp16.sm89.nvidia-l4.b1-1-1.plan").is_file()


def test_a_new_driver_means_a_new_engine_and_it_says_so(built, start, monkeypatch):
    start.run().close()
    monkeypatch.setattr(cuda, "driver", lambda: "13.2")
    start.run().close()
    assert len(built) == 2
    assert start.said[1].endswith(
        "anew, as the one there is built with the driver's CUDA 13.0, it is 13.2 now"
    )


def test_one_that_was_built_for_several_gpus_and_versions_is_taken(built, start, library):
    key = Key(
        "d1g", "tensorrt", "10.13.0", "sm80", "float16", (1, 1, 1), "NVIDIA A100", "12.9",
        hardware_compatible=True, version_compatible=True,
    )  # fmt: skip
    store.save(start.folder, key, b"engine", {})
    with start.run():
        assert library.runtime.engine_host_code_allowed
    assert (built, start.said) == ([], [])


def test_no_gpu(built, start, monkeypatch):
    monkeypatch.setattr(cuda, "missing", lambda number=0: "no NVIDIA driver is installed")
    with pytest.raises(CapabilityError) as caught:
        start.run()
    assert str(caught.value) == (
        "TensorRT runs on an NVIDIA GPU only: no NVIDIA driver is installed"
    )
    assert built == []


def test_without_cuda_bindings_nothing_is_built(built, start, monkeypatch):
    monkeypatch.setitem(sys.modules, "cuda.bindings.runtime", None)
    with pytest.raises(CapabilityError, match="cuda-bindings"):
        start.run()
    assert built == []


def test_a_build_that_fails(built, start, monkeypatch):
    def fail(*args):
        raise EngineError("node 'conv' is too much")

    monkeypatch.setattr(cached, "build", fail)
    with pytest.raises(EngineError, match="'conv'"):
        start.run()
    assert not list(start.folder.rglob("*.plan"))


def test_importing_it_loads_neither_library_nor_torch():
    code = (
        "import sys, runtime.engines.trt.open, runtime.engines.trt.cached, runtime.engines.trt.run;"
        "print([m for m in sys.modules if m.startswith(('tensorrt', 'torch', 'onnx', 'cuda.'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
