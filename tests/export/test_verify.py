"""The gates: they pass on what is right and stop what is not."""

from __future__ import annotations

import copy

import numpy as np
import onnx
import pytest
import torch

from export.precision import to_fp16
from export.reference import reference
from export.verify import ActivationOverflow, OutputMismatch, limit, parity
from fmtool import task
from fmtool.errors import ParityError


def test_float32_passes_at_every_batch_in_both_engines(model32, graph, volumes):
    report = parity(model32, graph, volumes, tolerance=1e-5, batches=(1, 2, 3))
    seen = {(d.engine, d.batch, d.output) for d in report.differences}
    engines = ("ONNX Runtime", "OpenVINO")
    assert seen == {(e, b, o) for e in engines for b in (1, 2, 3) for o in graph.output_names}
    assert report.worst.share <= 1


def test_fp16_passes_its_tolerance_and_not_float32s(model16, graph, volumes):
    assert parity(model16, graph, volumes, tolerance=5e-3).peak < 100
    with pytest.raises(OutputMismatch):
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
    with pytest.raises(OutputMismatch) as caught:
        parity(path, graph, volumes, tolerance=1e-5)
    assert caught.value.output == "age"
    assert caught.value.error == pytest.approx(0.5, rel=1e-3)
    assert caught.value.tolerance == pytest.approx(1e-5 * 120)


def test_nan_is_caught(model32, graph, volumes, tmp_path):
    path = altered(model32, tmp_path, {"encoder.conv1.weight": lambda w: w * np.float32(np.nan)})
    with pytest.raises(OutputMismatch, match="nan"):
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
    half = to_fp16(model, tmp_path / "model.fp16.onnx")
    with pytest.raises(ActivationOverflow, match=r"layer1\.0.* is allowed") as caught:
        parity(half, large, volumes, tolerance=1.0)
    assert caught.value.peak > 65504 / 8


def test_peaks_keep_nan(graph, volumes):
    volume, mask = volumes[0]
    broken = volume.copy()
    broken[12, 16, 16] = np.nan
    peaks = reference(graph, [(volume, mask), (broken, mask), (volume, mask)]).peaks
    assert np.isnan(peaks["conv1"])


def test_peaks_are_the_layers_largest_values(graph, volumes):
    outputs = []
    handle = graph.encoder.bn1.register_forward_hook(
        lambda _, args, out: outputs.append(out.clone())
    )
    peaks = reference(graph, volumes[:1]).peaks
    handle.remove()
    # What goes into the ReLU is BatchNorm's output, negative values included.
    assert peaks["bn1"] >= peaks["act"] == outputs[0].abs().max().item()


def test_the_limit_of_a_task_is_in_its_unit():
    assert limit(task.AGE, 30.0, 5e-3) == pytest.approx(0.6)
    assert limit(task.SEX, -1.0, 5e-3) == pytest.approx(0.1)
    volume = task.Task("volume", "regression", "mL", "volume")
    assert limit(volume, 1400.0, 5e-3) == pytest.approx(7.0)
    assert limit(volume, 0.1, 5e-3) == pytest.approx(5e-3)
