"""Engines of the real TensorRT-RTX, built without a GPU; skipped where it is not installed.

Such an engine cannot be loaded here, so its layers, types and shapes are checked as the builder
gives them, and not what it computes.
"""

from __future__ import annotations

import logging

import onnx
import pytest
from onnx import TensorProto, helper

from fmtool.errors import CapabilityError, EngineError
from runtime.engines import cuda
from runtime.engines.trt import build as tensorrt
from runtime.engines.trt.bindings import LIBRARIES, load

pytestmark = pytest.mark.rtx


@pytest.fixture(scope="module", autouse=True)
def _installed():
    try:
        load("rtx")
    except CapabilityError as error:
        pytest.skip(str(error))
    if cuda.architecture():
        pytest.skip("these are tests of building without a GPU")


def convolutions(plan):
    return [layer for layer in plan.network["layers"] if layer["type"] == "convolution"]


@pytest.mark.parametrize("target", ["sm80", "sm86", "sm89", "sm120", "sm121"])
def test_fp16_for_every_target(model16, graph, target):
    plan = tensorrt.build(model16, "rtx", target, batches=(1, 2, 4))
    assert len(plan.data) > model16.stat().st_size / 2
    assert plan.target == target
    # The network: twenty convolutions, none left in float32; float32 in and out.
    assert len(convolutions(plan)) == 20
    assert {layer["outputs"][0]["type"] for layer in convolutions(plan)} == {"half"}
    assert [(t["name"], t["type"]) for t in plan.network["inputs"]] == [
        ("volume", "float"), ("mask", "float"),
    ]  # fmt: skip
    assert [t["name"] for t in plan.network["outputs"]] == list(graph.output_names)
    assert {t["type"] for t in plan.network["outputs"]} == {"float"}
    # The engine, after fusion.
    made = [x for x in plan.engine["layers"] if x["type"] == "correlation"]
    assert len(made) == 20
    assert all("Datatype: Half" in layer["detail"] for layer in made)
    tensors = {t["name"]: t for t in plan.engine["tensors"]}
    assert tensors.keys() == {"volume", "mask", *graph.output_names}
    assert {t["type"] for t in tensors.values()} == {"Float"}
    for bound in ("MinShape: [1,1,", "OptShape: [2,1,", "MaxShape: [4,1,"):
        assert bound in tensors["volume"]["profile"]


def test_float32_stays_float32(model32):
    plan = tensorrt.build(model32, "rtx", "sm89")
    assert {layer["outputs"][0]["type"] for layer in convolutions(plan)} == {"float"}
    assert "Datatype: Half" not in str(plan.engine["layers"])


def test_float32_for_turing_fails_by_name(model32, caplog):
    with caplog.at_level(logging.WARNING), pytest.raises(EngineError) as caught:
        tensorrt.build(model32, "rtx", "sm75")
    assert "FP32 3D convolution is not supported" in str(caught.value)
    assert "'node_Conv_" in str(caught.value)
    assert not caplog.records  # once is enough


def test_the_table_of_targets_is_the_librarys():
    known = set(load("rtx").ComputeCapability.__members__) - {"NONE", "CURRENT"}
    assert known == {target.upper() for target in LIBRARIES["rtx"].builds_for}


def test_weights_beside_the_model_are_found(model16, tmp_path):
    path = tmp_path / "model.onnx"
    onnx.save_model(
        onnx.load(model16), path, save_as_external_data=True, location="weights.data",
        size_threshold=0,
    )  # fmt: skip
    assert path.stat().st_size < (tmp_path / "weights.data").stat().st_size
    assert len(convolutions(tensorrt.build(path, "rtx", "sm89"))) == 20
    (tmp_path / "weights.data").unlink()
    with pytest.raises(EngineError, match="cannot read"):
        tensorrt.build(path, "rtx", "sm89")


def test_a_node_that_the_parser_refuses_is_named(tmp_path):
    value = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["batch", 4]) for n in "xy"]
    node = helper.make_node("Nonsense", ["x"], ["y"], name="the_culprit", domain="nowhere")
    graph = helper.make_graph([node], "g", value[:1], value[1:])
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 18), helper.make_opsetid("nowhere", 1)]
    )
    onnx.save(model, tmp_path / "odd.onnx")
    with pytest.raises(EngineError, match=r"'the_culprit' \(Nonsense\)"):
        tensorrt.build(tmp_path / "odd.onnx", "rtx", "sm89")


def test_a_file_that_is_no_model(tmp_path):
    (tmp_path / "bad.onnx").write_bytes(b"nonsense")
    with pytest.raises(EngineError, match="Failed to parse the ONNX model"):
        tensorrt.build(tmp_path / "bad.onnx", "rtx", "sm89")
