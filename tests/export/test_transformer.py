"""A transformer through export: one file with its grid inside, and the same in FP16."""

from __future__ import annotations

import dataclasses

import numpy as np
import onnx
import pytest
import torch

from export.graph import BundleGraph
from export.onnx import export
from export.precision import to_fp16
from export.verify import parity
from training import encoders

SHAPE = (24, 32, 32)


@pytest.mark.slow
def test_a_transformers_files_reproduce_torch(heads, volumes, tmp_path):
    torch.manual_seed(0)
    encoder = encoders.build("vit_tiny", 0.125, patch=(12, 16, 16)).eval()
    rows = np.random.default_rng(0).normal(size=(2, 24))
    fitted = [dataclasses.replace(h, weight=w) for h, w in zip(heads, rows, strict=True)]
    graph = BundleGraph(encoder, fitted)
    path = export(graph, tmp_path / "model.onnx", shape=SHAPE)
    kinds = [node.op_type for node in onnx.load(path).graph.node]
    assert kinds.count("Conv") == 1
    assert kinds.count("Softmax") == 12
    assert not {"Sin", "Cos", "Pow", "Range"} & set(kinds), "positions are computed at every run"
    parity(path, graph, volumes, tolerance=1e-5, batches=(1, 2, 3))

    half = to_fp16(path, tmp_path / "model.fp16.onnx")
    weights = {w.name: w.data_type for w in onnx.load(half).graph.initializer}
    assert weights["encoder.embed.weight"] == onnx.TensorProto.FLOAT16
    assert parity(half, graph, volumes, tolerance=5e-3).peak < 1000
