"""The float32 ONNX file: self-contained, named, batched, and quiet to make."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest

import fmtool
from export.onnx import check, export, save
from export.reference import feed, reference
from runtime.engines.openvino.core import core, precisions


def test_it_is_one_checked_file_without_batchnorm(model32):
    assert not list(model32.parent.glob("*.data"))
    model = onnx.load(model32)
    onnx.checker.check_model(model, full_check=True)
    kinds = [node.op_type for node in model.graph.node]
    assert "BatchNormalization" not in kinds
    assert kinds.count("Conv") == 20
    assert model.opset_import[0].version == 18


def test_inputs_outputs_and_metadata(model32, graph):
    session = onnxruntime.InferenceSession(model32)
    assert [i.name for i in session.get_inputs()] == ["volume", "mask"]
    assert session.get_inputs()[0].shape == ["batch", 1, 24, 32, 32]
    assert tuple(o.name for o in session.get_outputs()) == graph.output_names
    assert all(o.type == "tensor(float)" for o in session.get_outputs())
    facts = session.get_modelmeta().custom_metadata_map
    assert facts == {"fmtool": fmtool.__version__, "encoder": "resnet18 0.0625"}


@pytest.mark.parametrize("batch", [1, 2, 3])
def test_any_batch_gives_torchs_outputs(model32, graph, volumes, batch):
    wanted = reference(graph, volumes[:batch])
    found = onnxruntime.InferenceSession(model32).run(None, feed(volumes[:batch]))
    for name, array in zip(graph.output_names, found, strict=True):
        expected = np.stack([outputs[name] for outputs in wanted])
        np.testing.assert_allclose(array, expected, rtol=1e-4, atol=1e-4)


def test_a_constant_volume_is_finite(model32, volumes):
    """The optimiser removes an epsilon that is added; the clamp must have survived it."""
    inputs = feed([(np.full_like(volumes[0][0], 7.0), volumes[0][1])])
    found = onnxruntime.InferenceSession(model32).run(None, inputs)
    assert all(np.isfinite(array).all() for array in found)


def test_nothing_is_printed_and_the_file_is_replaced(graph, tmp_path, capfd):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"old")
    export(graph, path, shape=(16, 16, 16))
    onnx.load(path)
    assert capfd.readouterr() == ("", "")
    assert [file.name for file in tmp_path.iterdir()] == ["model.onnx"]


def test_an_invalid_model_leaves_the_old_file(model32, tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"old")
    model = onnx.load(model32)
    model.graph.node[0].op_type = "Nonsense"
    with pytest.raises(onnx.checker.ValidationError):
        save(model, path)
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["model.onnx"]


def test_what_the_exporter_promises_is_checked(model32, graph):
    model = onnx.load(model32)
    check(model, graph, 18)
    with pytest.raises(RuntimeError, match="operator sets"):
        check(model, graph, 17)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 2
    with pytest.raises(RuntimeError, match="fixed the batch of volume"):
        check(model, graph, 18)


def test_an_operator_that_onnxruntime_computes_with_too_few_digits_is_refused(model32, graph):
    model = onnx.load(model32)
    model.graph.node[0].op_type = "GroupNormalization"
    with pytest.raises(RuntimeError, match="18 has GroupNormalization"):
        check(model, graph, 18)


def test_heads_are_float32_where_openvino_convolves_in_bfloat16(model32, graph, volumes):
    if "bfloat16" not in precisions():
        pytest.skip("this CPU has no bfloat16")
    model = core().compile_model(model32, "CPU", {"INFERENCE_PRECISION_HINT": "bf16"})
    found = model(feed(volumes))
    weight, bias = graph.weight.numpy(), graph.bias.numpy()
    for i, name in enumerate(("age", "sex")):
        wanted = found["embedding"] @ weight[i] + bias[i]
        np.testing.assert_allclose(found[name][:, 0], wanted, rtol=1e-5, atol=1e-5)
