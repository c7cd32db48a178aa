"""The gates: they pass on what is right and stop what is not."""

from __future__ import annotations

import copy
from importlib import import_module

import numpy as np
import onnx
import pytest
import torch

from export import half, verify
from export.precision import to_fp16
from export.reference import reference
from export.tolerance import limit
from export.verify import ActivationOverflow, _differences, parity
from fmtool import task
from fmtool.errors import ParityError, ShapeError, ToleranceError
from runtime.engines.openvino import precisions


def test_float32_passes_at_every_batch_in_both_engines(model32, graph, volumes):
    report = parity(model32, graph, volumes, tolerance=1e-5, batches=(1, 2, 3))
    assert {d.precision for d in report.differences} == {"float32"}
    seen = {(d.engine, d.batch, d.output) for d in report.differences}
    engines = {engine for engine, _, _ in seen}
    assert sorted(engine.split()[0] for engine in engines) == ["ONNX", "OpenVINO"]
    assert all(engine[-1].isdigit() for engine in engines)
    assert seen == {(e, b, o) for e in engines for b in (1, 2, 3) for o in graph.output_names}
    assert report.worst.share <= 1


def test_fp16_passes_its_tolerance_and_not_float32s(model16, graph, volumes):
    report = parity(model16, graph, volumes, tolerance=5e-3)
    assert report.peak < 100
    assert half.ENGINE in {difference.engine for difference in report.differences}
    with pytest.raises(ToleranceError):
        parity(model16, graph, volumes, tolerance=1e-5)


def altered(model, tmp_path, changes):
    """A copy of a model with some weights changed, by name."""
    copied = onnx.load(model)
    for weight in copied.graph.initializer:
        if weight.name in changes:
            array = changes[weight.name](onnx.numpy_helper.to_array(weight))
            weight.CopyFrom(onnx.numpy_helper.from_array(array, weight.name))
    path = tmp_path / "altered.onnx"
    onnx.save(copied, path)
    return path


def test_an_altered_weight_of_the_encoder_is_caught(model32, graph, volumes, tmp_path):
    path = altered(
        model32, tmp_path, {"encoder.layer2.0.conv1.weight": lambda w: w * np.float32(1.001)}
    )
    with pytest.raises(ParityError, match=r"altered\.onnx does not reproduce torch: output"):
        parity(path, graph, volumes, tolerance=1e-5)


def test_an_altered_head_is_caught_and_named(model32, graph, volumes, tmp_path):
    model = onnx.load(model32)
    node = next(node for node in model.graph.node if "age" in node.output)
    node.input[1] = "shifted"  # the map's bias stays
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.float32(35.5), "shifted"))
    path = tmp_path / "altered.onnx"
    onnx.save(model, path)
    with pytest.raises(ToleranceError) as caught:
        parity(path, graph, volumes, tolerance=1e-5)
    assert caught.value.output == "age"
    assert caught.value.error == pytest.approx(0.5, rel=1e-3)
    assert caught.value.tolerance == pytest.approx(1e-5 * 120)


def test_nan_is_caught(model32, graph, volumes, tmp_path):
    path = altered(model32, tmp_path, {"encoder.conv1.weight": lambda w: w * np.float32(np.nan)})
    with pytest.raises(ToleranceError, match="is not finite"):
        parity(path, graph, volumes, tolerance=1e-5)


def test_an_activation_beyond_fp16_is_caught_though_the_cpu_hides_it(
    model32, graph, volumes, tmp_path
):
    """One layer's activations 1e5 times larger, the next one's weights divided: same outputs."""
    large = copy.deepcopy(graph)
    block = large.encoder.layer1[0]
    with torch.no_grad():
        block.bn1.weight.mul_(1e5)
        block.bn1.bias.mul_(1e5)
        block.conv2.weight.div_(1e5)
    model = altered(
        model32,
        tmp_path,
        {
            "encoder.layer1.0.conv1.weight": lambda w: w * np.float32(1e5),
            "encoder.layer1.0.conv1.weight_bias": lambda w: w * np.float32(1e5),
            "encoder.layer1.0.conv2.weight": lambda w: w / np.float32(1e5),
        },
    )
    parity(model, large, volumes, tolerance=1e-5)  # float32 holds it
    written = to_fp16(model, tmp_path / "model.fp16.onnx")
    with pytest.raises(ActivationOverflow, match=r"layer1\.0.* is allowed") as caught:
        parity(written, large, volumes, tolerance=1.0)
    assert caught.value.peak > 65504 / 8


def test_a_sum_whose_parts_are_too_large_is_caught(graph, volumes, tmp_path):
    """Two addends of 3e4 that cancel: the sum is harmless, FP16 holds neither with a margin."""
    from export.onnx import export

    large = copy.deepcopy(graph)
    block = large.encoder.layer2[0]
    with torch.no_grad():
        block.bn2.bias.add_(3e4)
        block.downsample[1].bias.sub_(3e4)
    model = export(large, tmp_path / "model.onnx", shape=volumes[0][0].shape)
    written = to_fp16(model, tmp_path / "model.fp16.onnx")
    with pytest.raises(ActivationOverflow, match=r"layer2\.0") as caught:
        parity(written, large, volumes, tolerance=1.0)
    assert caught.value.peak == pytest.approx(3e4, rel=0.01)


def with_output(model, tmp_path, change):
    copied = onnx.load(model)
    change(copied.graph)
    path = tmp_path / "altered.onnx"
    onnx.save(copied, path)
    return path


def test_a_missing_output_is_named(model32, graph, volumes, tmp_path):
    path = with_output(model32, tmp_path, lambda g: g.output.pop(1))
    with pytest.raises(ShapeError, match=r"altered\.onnx in .* batch 1 gives no output 'age'"):
        parity(path, graph, volumes, tolerance=1e-5)


def test_an_output_of_another_shape_is_named(model32, graph, volumes, tmp_path):
    def flatten(g):
        node = next(node for node in g.node if "age" in node.output)
        node.output[0] = "column"
        g.node.append(onnx.helper.make_node("Flatten", ["column"], ["age"], axis=0))

    path = with_output(model32, tmp_path, flatten)
    parity(path, graph, volumes, tolerance=1e-5)  # (1, 1) at batch 1: only a batch shows it
    with pytest.raises(ShapeError, match=r"at batch 2 .* 'age' of the shape \(1, 2\), .* \(2, 1\)"):
        parity(path, graph, volumes, tolerance=1e-5, batches=(1, 2))


def test_rows_that_change_places_are_caught(model32, graph, volumes, tmp_path):
    def swap(g):
        node = next(node for node in g.node if "age" in node.output)
        node.output[0] = "before"
        words = {"from": -1, "to": np.iinfo(np.int64).min, "axis": 0, "step": -1}
        for name, number in words.items():
            array = np.array([number], np.int64)
            g.initializer.append(onnx.numpy_helper.from_array(array, name))
        g.node.append(onnx.helper.make_node("Slice", ["before", *words], ["age"]))

    path = with_output(model32, tmp_path, swap)
    with pytest.raises(ToleranceError) as caught:
        parity(path, graph, volumes, tolerance=1e-5, batches=(2,))
    assert (caught.value.output, caught.value.batch) == ("age", 2)
    assert caught.value.engine in str(caught.value)


def test_a_batch_is_run_once_and_singles_for_every_volume(monkeypatch, model32, graph, volumes):
    sizes = []

    def engines(path, precision):
        for name, engine in real(path, precision):
            run = engine.run
            engine.run = lambda inputs, run=run: sizes.append(len(inputs["mask"])) or run(inputs)
            yield name, engine

    real = verify.engines
    monkeypatch.setattr(verify, "engines", engines)
    parity(model32, graph, volumes, tolerance=1e-5, batches=(1, 2, 8))
    assert sizes == [1, 1, 1, 2, 8] * len(precisions())  # OpenVINO in all but int8, and the other


def test_a_reference_that_is_not_finite_is_not_compared_with(graph, volumes):
    volume, mask = volumes[0]
    broken = volume.copy()
    broken[12, 16, 16] = np.nan
    with pytest.raises(ParityError, match="own output 'embedding' is not finite on volume 2"):
        reference(graph, [(volume, mask), (broken, mask)])


def test_a_logit_that_is_sure_is_held_to_a_relative_limit(graph):
    wanted = {name: np.ones((1, 1, 2, 2, 2)) for name in graph.output_names}
    wanted |= {"embedding": np.ones((1, 4)), "age": np.ones(1), "sex": np.array([8.0])}
    found = _differences(graph, wanted, wanted, 5e-3, {"sex": 0.2})
    bounds = {difference.output: difference.tolerance for difference in found}
    assert (bounds["sex"], bounds["age"]) == (pytest.approx(0.4), pytest.approx(0.6))


def test_the_limit_of_a_task_is_in_its_unit():
    assert limit(task.AGE, 30.0, 5e-3, {}) == pytest.approx(0.6)
    assert limit(task.SEX, -1.0, 5e-3, {}) == pytest.approx(0.1)
    volume = task.Task("volume", "regression", "mL", "volume")
    assert limit(volume, 1400.0, 5e-3, {}) == pytest.approx(7.0)
    assert limit(volume, 0.1, 5e-3, {}) == pytest.approx(5e-3)
    assert limit(volume, 0.1, 5e-3, {"label_range": [-20.0, 20.0]}) == pytest.approx(0.2)


def _zero(model):
    """Every convolution's weights zeroed in place: an arrangement that computes something else."""
    from openvino import opset13 as ops

    for node in model.get_ordered_ops():
        if node.get_type_name() == "Convolution":
            kernel = node.input_value(1)
            kind = kernel.get_element_type().to_dtype()
            nothing = ops.constant(np.zeros(list(kernel.shape), kind))
            node.input(1).replace_source_output(nothing.output(0))


@pytest.mark.parametrize(
    ("place", "precision", "computed"),
    [
        ("slabs.cut", "float32", "float32"),
        ("stem.rearrange", "float32", "bfloat16"),
        ("slabs.cut", "float16", "float32"),
        ("slabs.cut", "int8", "int8"),
        ("int8.arrange", "int8", "int8"),
    ],
)
def test_what_the_runtime_rearranges_is_compared_too(
    request, graph, volumes, monkeypatch, place, precision, computed
):
    if computed not in precisions():
        pytest.skip(f"this CPU does not compute in {computed}")
    name = {"float32": "model32", "float16": "model16", "int8": "model8"}[precision]
    model = request.getfixturevalue(name)
    tolerance = {"float32": 1e-5, "float16": 5e-3, "int8": 0.1}[precision]
    shifts = {"age": 5.0, "sex": 5.0} if precision == "int8" else {}
    parity(model, graph, volumes[:1], tolerance, allowed=shifts, precision=precision)
    module, function = place.split(".")
    spoilt = import_module(f"runtime.engines.openvino.{module}")
    monkeypatch.setattr(spoilt, function, lambda network, *settings: _zero(network))
    with pytest.raises(ToleranceError, match=rf"in OpenVINO .*\({computed}\)") as caught:
        parity(model, graph, volumes[:1], tolerance, allowed=shifts, precision=precision)
    assert caught.value.engine.startswith("OpenVINO")


def test_bfloat16_is_opened_and_its_rounding_does_not_refuse(model32, graph, volumes):
    if "bfloat16" not in precisions():
        pytest.skip("this CPU does not compute in bfloat16")
    report = parity(model32, graph, volumes, tolerance=1e-5)
    assert {d.precision for d in report.rounded} == {"bfloat16"}
    (embedding,) = (d for d in report.rounded if d.output == "embedding")
    assert 1e-4 < embedding.error < embedding.tolerance == verify.BFLOAT16
    assert report.of("embedding").error < 1e-5
