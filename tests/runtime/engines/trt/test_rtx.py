"""The real TensorRT-RTX on a tiny network, in three precisions and for three generations of GPUs.

It builds without a GPU and cannot load what it built, so what an engine computes is not tested
here: its network, layers, types, inputs and outputs are.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from fmtool.errors import CapabilityError, EngineError
from runtime.engines import cuda
from runtime.engines.cache import store
from runtime.engines.trt.bindings import load
from runtime.engines.trt.build import build
from runtime.engines.trt.cached import build_into, key_of
from runtime.engines.trt.configure import Options

pytestmark = pytest.mark.rtx

CHANNELS, SHAPE = 16, (8, 8, 8)
GENERATIONS = ["sm80", "sm86", "sm89", "sm120"]  # Ampere twice, Ada, Blackwell


@pytest.fixture(scope="module", autouse=True)
def _installed():
    try:
        load("rtx")
    except CapabilityError as error:
        pytest.skip(str(error))
    if cuda.architecture():
        pytest.skip("these are tests of building without a GPU")


@pytest.fixture(scope="module")
def float32(tmp_path_factory) -> Path:
    """volume x mask -> two convolutions with ReLU -> the mean over the voxels, "embedding"."""
    onnx = pytest.importorskip("onnx")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=(CHANNELS, n, 3, 3, 3)).astype("f4") for n in (1, CHANNELS)]
    nodes = [
        helper.make_node("Mul", ["volume", "mask"], ["masked"]),
        helper.make_node("Conv", ["masked", "w0"], ["c0"], "conv_0", pads=[1] * 6),
        helper.make_node("Relu", ["c0"], ["r0"]),
        helper.make_node("Conv", ["r0", "w1"], ["c1"], "conv_1", pads=[1] * 6),
        helper.make_node("Relu", ["c1"], ["r1"]),
        helper.make_node("ReduceMean", ["r1"], ["embedding"], axes=[2, 3, 4], keepdims=0),
    ]
    whole = ["batch", 1, *SHAPE]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(n, kind, whole) for n in ("volume", "mask")],
        [helper.make_tensor_value_info("embedding", kind, ["batch", CHANNELS])],
        [onnx.numpy_helper.from_array(w, f"w{i}") for i, w in enumerate(weights)],
    )
    path = tmp_path_factory.mktemp("rtx") / "tiny.onnx"
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), str(path))
    return path


@pytest.fixture(scope="module")
def float16(float32) -> Path:
    onnx = pytest.importorskip("onnx")
    from onnxruntime.transformers.float16 import convert_float_to_float16

    path = float32.with_name("tiny.fp16.onnx")
    onnx.save(convert_float_to_float16(onnx.load(float32), keep_io_types=True), str(path))
    return path


@pytest.fixture(scope="module")
def int8(float32) -> Path:
    """Quantised as TensorRT reads it: symmetric, convolutions only, the bias left alone."""
    from onnxruntime import quantization as q

    class Volumes(q.CalibrationDataReader):
        def __init__(self):
            rng = np.random.default_rng(1)
            ones = np.ones((1, 1, *SHAPE), "f4")
            scans = (rng.normal(size=ones.shape).astype("f4") for _ in range(2))
            self.left = iter([{"volume": scan, "mask": ones} for scan in scans])

        def get_next(self):
            return next(self.left, None)

    path = float32.with_name("tiny.int8.onnx")
    q.quantize_static(
        float32, path, Volumes(), quant_format=q.QuantFormat.QDQ, op_types_to_quantize=["Conv"],
        activation_type=q.QuantType.QInt8, weight_type=q.QuantType.QInt8,
        extra_options={"ActivationSymmetric": True, "QuantizeBias": False},
    )  # fmt: skip
    return path


def types(plan, kind):
    layers = [layer for layer in plan.network["layers"] if layer["type"] == kind]
    return [layer["outputs"][0]["type"] for layer in layers]


def check_ends(plan, batches):
    """Float32 in and out whatever is in between, and the batches asked for."""
    low, usual, high = batches
    for side, names in (("inputs", ["volume", "mask"]), ("outputs", ["embedding"])):
        assert [(t["name"], t["type"]) for t in plan.network[side]] == [(n, "float") for n in names]
    tensors = {t["name"]: t for t in plan.engine["tensors"]}
    assert tensors.keys() == {"volume", "mask", "embedding"}
    assert {t["type"] for t in tensors.values()} == {"Float"}
    for bound in (f"MinShape: [{low},1,", f"OptShape: [{usual},1,", f"MaxShape: [{high},1,"):
        assert bound in tensors["volume"]["profile"]
    assert {t["mode"] for t in tensors.values()} == {"Input", "Output"}


def convolutions(plan):
    return [x["detail"] for x in plan.engine["layers"] if x["type"] == "correlation"]


@pytest.mark.parametrize("target", GENERATIONS)
def test_float32(float32, target):
    plan = build(float32, "rtx", target, (1, 2, 4))
    assert (plan.target, plan.version) == (target, load("rtx").__version__)
    check_ends(plan, (1, 2, 4))
    assert types(plan, "convolution") == ["float", "float"]
    assert len(convolutions(plan)) == 2
    assert "Half" not in str(plan.engine["layers"])


@pytest.mark.parametrize("target", GENERATIONS)
def test_float16(float16, target):
    plan = build(float16, "rtx", target, (1, 2, 4))
    check_ends(plan, (1, 2, 4))
    assert types(plan, "convolution") == ["half", "half"]
    assert len(convolutions(plan)) == 2
    assert all("Datatype: Half" in detail for detail in convolutions(plan))


@pytest.mark.parametrize("target", GENERATIONS)
def test_int8(int8, target):
    plan = build(int8, "rtx", target, (1, 2, 4))
    check_ends(plan, (1, 2, 4))
    assert types(plan, "quantize").count("int8") == 4  # two inputs, two weights
    assert set(types(plan, "dequantize")) == {"float"}
    assert len(convolutions(plan)) == 2
    for detail in convolutions(plan):  # which read int8, and hold their weights in it
        inputs, constants = detail.split("Outputs:")[0].split("Constants:")
        assert "Datatype: Int8" in inputs
        assert "Datatype: Int8" in constants


def test_a_workspace_limit_reaches_the_library(float32):
    assert build(float32, "rtx", "sm89", options=Options(workspace=1 << 28)).data
    with pytest.raises(EngineError, match="within workspace limit"):
        build(float32, "rtx", "sm89", options=Options(workspace=1))


def test_weights_beside_the_model(float32, tmp_path):
    onnx = pytest.importorskip("onnx")
    path = tmp_path / "model.onnx"
    onnx.save_model(
        onnx.load(float32), str(path), save_as_external_data=True, location="weights",
        size_threshold=0,
    )  # fmt: skip
    assert types(build(path, "rtx", "sm89"), "convolution") == ["float", "float"]
    (tmp_path / "weights").unlink()
    with pytest.raises(EngineError, match="cannot read"):
        build(path, "rtx", "sm89")


def test_what_the_library_would_refuse_is_said_beforehand(float32):
    with pytest.raises(CapabilityError, match="version-compatible engines only where there is a"):
        build(float32, "rtx", "sm89", options=Options(version_compatible=True))


def tiny(model):
    return SimpleNamespace(digest="d1g", name="tiny", graph=lambda precision: model.read_bytes())


def test_into_the_cache_and_the_layers_beside_it(float16, tmp_path):
    key = key_of(tiny(float16), "rtx", "float16", "sm89")
    built = build_into(tiny(float16), key, tmp_path, lambda said: None)
    assert built.path == store.load(tmp_path, key)
    facts = store.read(built.path)
    assert (facts["name"], facts["seconds"], facts["bytes"]) == ("tiny", built.seconds, built.bytes)
    assert (key.gpu, key.driver) == (None, None)  # for any sm89
    assert facts["engine"]["source"] == "builder log"
    assert [x["type"] for x in facts["engine"]["layers"]].count("correlation") == 2


CHILD = """
import sys, time
from pathlib import Path
from types import SimpleNamespace
from runtime.engines.trt import build
from runtime.engines.trt.cached import build_into, key_of
model, folder = map(Path, sys.argv[1:])
real = build.layers.network
def begin(network):  # the last thing before the library compiles
    (folder / "reached").touch()
    return real(network)
build.layers.network = begin
tiny = SimpleNamespace(digest="d1g", name="tiny", graph=lambda precision: model.read_bytes())
build_into(tiny, key_of(tiny, "rtx", "float16", "sm89"), folder, print)
"""


def test_killed_while_the_library_compiles(float16, tmp_path):
    words = [sys.executable, "-c", CHILD, str(float16), str(tmp_path)]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    while not (tmp_path / "reached").exists():
        assert process.poll() is None
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    key = key_of(tiny(float16), "rtx", "float16", "sm89")
    with pytest.raises(store.MissingEngine):
        store.load(tmp_path, key)
    said = []
    built = build_into(tiny(float16), key, tmp_path, said.append)
    assert said == ["Building the TensorRT-RTX engine for sm89"]
    assert store.load(tmp_path, key) == built.path


def test_the_bindings_have_every_name_that_running_an_engine_calls():
    trt = load("rtx")
    names = {
        "Runtime": "deserialize_cuda_engine engine_host_code_allowed",
        "ICudaEngine": "create_execution_context create_runtime_config num_io_tensors "
        "get_tensor_name get_tensor_mode get_tensor_dtype get_tensor_profile_shape",
        "IExecutionContext": "set_input_shape get_tensor_shape set_tensor_address "
        "execute_async_v3 is_stream_capturable",
        "IRuntimeConfig": "create_runtime_cache set_runtime_cache",
        "IRuntimeCache": "serialize deserialize",
        "BuilderFlag": "REQUIRE_USER_ALLOCATION VERSION_COMPATIBLE",
        "DataType": "FLOAT HALF",
        "TensorIOMode": "INPUT",
    }
    pairs = [(owner, member) for owner, members in names.items() for member in members.split()]
    assert not [pair for pair in pairs if not hasattr(getattr(trt, pair[0]), pair[1])]
