"""The FP16 benchmark's judgement, on a narrow network; at full size it is run by hand."""

from __future__ import annotations

import onnx
import pytest
import torch
from onnx import numpy_helper

from benchmarks import fp16
from export.graph import BundleGraph
from export.onnx import export
from export.precision import to_fp16
from training import encoders


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    torch.manual_seed(0)
    graph = BundleGraph(encoders.build(width=0.25).eval(), [])
    folder = tmp_path_factory.mktemp("onnx")
    plain = export(graph, folder / "model.onnx", shape=(16, 16, 16))
    return plain, to_fp16(plain, folder / "model.fp16.onnx")


def test_no_float32_convolution_is_left_and_half_the_bytes_are(models):
    plain, half = models
    assert fp16.convolutions(plain) == {"FLOAT": 20}
    assert fp16.convolutions(half) == {"FLOAT16": 20}
    assert half.stat().st_size <= fp16.SIZE_BAR * plain.stat().st_size


def test_a_convolution_left_in_float32_is_counted(models, tmp_path):
    model = onnx.load(models[1])
    weight = next(w for w in model.graph.initializer if w.name == "encoder.conv1.weight")
    exact = numpy_helper.to_array(weight).astype("float32")
    weight.CopyFrom(numpy_helper.from_array(exact, weight.name))
    onnx.save(model, tmp_path / "mixed.onnx")
    assert fp16.convolutions(tmp_path / "mixed.onnx") == {"FLOAT16": 19, "FLOAT": 1}


@pytest.mark.parametrize(
    "worse", [{"size_share": 0.52}, {"embedding_error": {"a": 1e-3, "b": 3e-3}},
              {"convolutions": {"FLOAT16": 19, "FLOAT": 1}}],
)  # fmt: skip
def test_every_bar_counts(worse):
    good = {
        "size_share": 0.5, "embedding_error": {"a": 1e-3}, "convolutions": {"FLOAT16": 20},
    }  # fmt: skip
    assert fp16.met(good)
    assert not fp16.met({**good, **worse})


def test_the_template_is_a_real_volume():
    ((volume, mask),) = fp16.volumes([])
    assert volume.shape == mask.shape == (150, 192, 192)
    assert mask.mean() > 0.2
