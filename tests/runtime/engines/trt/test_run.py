"""Running an engine, on stand-ins that check the order of calls; one test needs a real GPU."""

from __future__ import annotations

import gc
import logging

import numpy as np
import pytest

from fmtool import bundle
from fmtool.errors import CapabilityError, EngineError, InputError, UsageError
from runtime.engines import cuda, selftest
from runtime.engines.trt.open import open_cached
from runtime.engines.trt.run import TensorRTEngine
from runtime.system import atomic


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "model.sm89.b1-1-1.plan"
    path.write_bytes(b"engine")
    return path


def opened(file, **options):
    return TensorRTEngine(file, "cuda", "float16", "tensorrt", **options)


def agree(outputs, expected):
    assert {array.dtype for array in outputs.values()} == {np.dtype(np.float32)}
    np.testing.assert_allclose(outputs["embedding"], expected.embedding, rtol=1e-6)
    np.testing.assert_allclose(outputs["age"], expected.age, rtol=1e-3, atol=1e-3)  # was FP16


def test_outputs_and_description(library, file, cubes):
    inputs, expected = cubes()
    with opened(file) as engine:
        agree(engine.run(inputs), expected)
        assert engine.describe() == "TensorRT 10.16.1, cuda:0, float16, batch 1"


def test_every_scan_gets_its_own_result_from_the_graph(library, gpu, file, cubes):
    with opened(file) as engine:
        kept = []
        for seed in range(4):
            inputs, expected = cubes(seed=seed)
            kept.append((engine.run(inputs), expected))
        for outputs, expected in kept:  # a later run has not overwritten an earlier result
            agree(outputs, expected)
    assert library.executed == 4
    assert gpu.diary.count("cudaGraphLaunch") == 3  # all but the first
    assert gpu.diary.count("cudaStreamBeginCapture") == 1
    assert gpu.diary.count("cudaMalloc") == gpu.diary.count("cudaMallocHost") == 4
    assert library.shaped == 2  # once per input


def test_batches_of_a_profile(library, gpu, file, cubes):
    library.batches = (1, 2, 4)
    with opened(file) as engine:
        for batch in (4, 1, 3, 3):
            inputs, expected = cubes(batch, seed=batch)
            agree(engine.run(inputs), expected)
        assert engine.describe().endswith("batches 1 to 4")
    assert "cudaStreamBeginCapture" not in gpu.diary
    assert gpu.diary.count("cudaMalloc") == 4
    assert library.shaped == 2 * 3  # the largest at first, then 1 and 3


@pytest.mark.parametrize("batch", [1, 5])
def test_a_batch_outside_of_the_profile(library, file, cubes, batch):
    library.batches = (2, 2, 4)
    with opened(file) as engine:
        with pytest.raises(UsageError, match=rf"b1-1-1.plan takes batches 2 to 4, not {batch}; b"):
            engine.run(cubes(batch)[0])
        agree(engine.run(cubes(2)[0]), cubes(2)[1])


def test_inputs_that_are_not_the_models(library, file, cubes):
    inputs, _ = cubes()
    with opened(file) as engine:
        with pytest.raises(UsageError, match=r"inputs are \['mask', 'volume'\], not \['volume'\]"):
            engine.run({"volume": inputs["volume"]})
        with pytest.raises(UsageError, match="have the shapes"):
            engine.run({**inputs, "mask": inputs["mask"][..., :1]})
        with pytest.raises(UsageError, match="have the shapes"):
            engine.run({**inputs, "mask": np.concatenate([inputs["mask"]] * 2)})


def test_close_frees_everything_in_order(library, gpu, file, cubes):
    engine = opened(file)
    engine.run(cubes()[0])
    before = len(gpu.diary)
    engine.close()
    gc.collect()
    assert gpu.diary[before:] == [
        "cudaGraphExecDestroy", "context gone", "engine gone", "runtime gone",
        *["cudaFree", "cudaFreeHost"] * 4, "cudaStreamDestroy",
    ]  # fmt: skip
    assert (gpu.memory, gpu.graphs) == ({}, 0)
    engine.close()


def test_an_engine_that_does_not_load(library, gpu, file, caplog):
    library.loads = False
    with pytest.raises(EngineError, match=r"cannot load it.*not compatible with this version"):
        opened(file)
    assert not caplog.records  # said once
    assert gpu.diary[-1] == "cudaStreamDestroy"


def test_no_context(library, gpu, file):
    library.prepares = False
    with pytest.raises(EngineError, match=r"cannot prepare to run it.*no memory for activations"):
        opened(file)
    assert gpu.memory == {}


def test_an_output_of_another_type(library, gpu, file):
    library.age_type = "INT32"
    with pytest.raises(EngineError, match=r"'age' is DataType\.INT32, not float32 or float16"):
        opened(file)
    assert gpu.memory == {}


def test_a_run_that_fails(library, file, cubes):
    with opened(file) as engine:
        library.runs = False
        with pytest.raises(EngineError, match=r"cannot run it.*out of luck"):
            engine.run(cubes()[0])
        library.runs = True
        agree(engine.run(cubes()[0]), cubes()[1])


def test_a_full_gpu_is_the_machines_fault_and_frees_what_it_got(library, gpu, file):
    gpu.fails["cudaMalloc"] = type(gpu).cudaError_t.cudaErrorMemoryAllocation
    with pytest.raises(CapabilityError) as caught:
        opened(file)
    assert str(caught.value) == (
        "cudaMalloc answered cudaErrorMemoryAllocation (told of 2) on cuda:0"
    )
    assert gpu.memory == {}


def test_an_error_of_the_gpu_shows_when_it_is_waited_for(library, gpu, file, cubes):
    with opened(file) as engine:
        gpu.fails["cudaStreamSynchronize"] = type(gpu).cudaError_t.cudaErrorIllegalAddress
        with pytest.raises(EngineError, match="cudaStreamSynchronize answered cudaErrorIllegalA"):
            engine.run(cubes()[0])


def test_another_gpu_than_there_is(library, file):
    with pytest.raises(CapabilityError, match=r"cudaErrorInvalidDevice .* on cuda:3"):
        TensorRTEngine(file, "cuda:3", "float16", "tensorrt")


def test_without_a_graph_it_runs_on_and_says_so(library, gpu, file, cubes, caplog):
    gpu.fails["cudaStreamEndCapture"] = type(gpu).cudaError_t.cudaErrorStreamCaptureInvalidated
    with opened(file) as engine, caplog.at_level(logging.WARNING):
        for seed in range(3):
            inputs, expected = cubes(seed=seed)
            agree(engine.run(inputs), expected)
    (record,) = caplog.records
    assert "b1-1-1.plan runs without a CUDA graph: cudaStreamEndCapture" in record.getMessage()
    assert library.executed == 3


def test_what_is_compiled_on_the_gpu_is_kept_for_the_next_start(jit, file, cubes):
    kept = file.with_name(f"{file.name}.kernels")
    for _ in range(2):
        with opened(file) as engine:
            agree(engine.run(cubes()[0]), cubes()[1])
    assert (jit.compiled, kept.read_bytes()) == (1, b"kernels")
    kept.write_bytes(b"of another driver")
    with opened(file) as engine:
        engine.run(cubes()[0])
    assert (jit.compiled, kept.read_bytes()) == (2, b"kernels")


def test_in_a_folder_that_cannot_be_written_it_compiles_each_time(jit, file, cubes, monkeypatch):
    def refuse(path, data):
        raise InputError("read-only")

    monkeypatch.setattr(atomic, "write_bytes", refuse)
    for _ in range(2):
        with opened(file) as engine:
            agree(engine.run(cubes()[0]), cubes()[1])
    assert jit.compiled == 2


def test_without_cuda_bindings(library, file, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "cuda.bindings.runtime", None)
    with pytest.raises(CapabilityError, match="cuda-bindings cannot be used"):
        opened(file)


@pytest.mark.gpu
@pytest.mark.parametrize("library", ["tensorrt", "rtx"])
@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_the_demonstration_bundle_on_a_real_gpu(library, precision, tmp_path):
    if cuda.missing():
        pytest.skip(str(cuda.missing()))
    with bundle.open() as demo:
        try:
            engine = open_cached(demo, library, "cuda:0", precision, tmp_path, print)
        except CapabilityError as error:
            pytest.skip(str(error))
        with engine:
            errors = [selftest.run(engine, demo).errors for _ in range(2)]  # plain, and as a graph
        assert errors[0].keys() == demo.manifest.self_test.outputs.keys()
