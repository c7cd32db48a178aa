"""Networks imported from elsewhere through export: other first layers, learned positions."""

from __future__ import annotations

import dataclasses

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from export.graph import BundleGraph
from export.onnx import export
from export.precision import to_fp16
from export.verify import parity
from training.encoders import architecture
from training.encoders.architecture import Architecture
from training.encoders.layout import Dense, Plain, Residual, Transformer
from training.encoders.own_input import MIN_MAX, OwnInput

SHAPE = (24, 32, 32)
SHORTCUTS = {
    "zeros": Residual(conv1_t_size=(3, 5, 7), conv1_t_stride=(2, 2, 1), shortcut_type="A"),
    "no pooling": Residual(conv1_t_stride=(2, 2, 2), no_max_pool=True, bias_downsample=False),
}


def graph_of(encoder, heads):
    features = architecture.describe(encoder).features
    rows = np.random.default_rng(0).normal(size=(2, features))
    fitted = [dataclasses.replace(h, weight=w) for h, w in zip(heads, rows, strict=True)]
    return BundleGraph(encoder.eval(), fitted)


@pytest.mark.parametrize("layout", SHORTCUTS.values(), ids=SHORTCUTS)
def test_a_residual_network_of_another_layout(heads, volumes, tmp_path, layout):
    torch.manual_seed(0)
    encoder = architecture.build("resnet10", 0.0625, None, layout)
    for layer in encoder.modules():
        if isinstance(layer, nn.BatchNorm3d):
            layer.running_mean.normal_(0, 0.1)
            layer.running_var.uniform_(0.5, 2.0)
    graph = graph_of(encoder, heads)
    path = export(graph, tmp_path / "model.onnx", shape=SHAPE)
    parity(path, graph, volumes, tolerance=1e-5, batches=(1, 2, 3))


def test_a_transformer_with_a_class_token_and_padding(heads, volumes, tmp_path):
    torch.manual_seed(0)
    layout = Transformer((32, 32, 36), (16, 16, 12), 24, 48, 2, 3, classification=True)
    encoder = architecture.build("vit", 1.0, None, layout)
    for weight in encoder.parameters():
        weight.data.add_(0.1 * torch.randn_like(weight))
    graph = graph_of(encoder, heads)
    path = export(graph, tmp_path / "model.onnx", shape=SHAPE)
    nodes = {node.op_type: node for node in onnx.load(path).graph.node}
    assert not {"Resize", "Pad"} & nodes.keys(), "done once, or by the convolution"
    pads = {a.name: list(a.ints) for a in nodes["Conv"].attribute}["pads"]
    assert pads == [4, 0, 2, 4, 0, 2]
    parity(path, graph, volumes, tolerance=1e-5, batches=(1, 2, 3))
    half = to_fp16(path, tmp_path / "model.fp16.onnx")
    parity(half, graph, volumes, tolerance=5e-3)


IMPORTED = {
    "densenet": Architecture(
        "densenet", 1.0, 14, None, Dense(init_features=8, growth_rate=4, block_config=(2, 2, 1))
    ),
    "sfcn": Architecture("sfcn", 1.0, 5, None, Plain((2, 3, 5))),
    "dilated": Architecture(
        "resnet10", 0.0625, 32, None,
        Residual(conv1_t_stride=(2, 2, 2), bias_downsample=False, dilated=True),
    ),
    "resized, min-max": Architecture(
        "densenet", 1.0, 8, None, Dense(init_features=8, growth_rate=4, block_config=(1, 1)),
        own=OwnInput((20, 26, 26), MIN_MAX),
    ),
    "a transformer's size": Architecture(
        "vit", 1.0, 24, None, Transformer((16, 16, 16), (8, 8, 8), 24, 48, 2, 3),
        own=OwnInput((16, 16, 16)),
    ),
}  # fmt: skip


def built(found):
    torch.manual_seed(0)
    encoder = found.build()
    for layer in encoder.modules():
        if isinstance(layer, nn.BatchNorm3d):
            layer.running_mean.normal_(0, 0.1)
            layer.running_var.uniform_(0.5, 2.0)
    return encoder.eval()


@pytest.mark.parametrize("kind", IMPORTED.values(), ids=IMPORTED)
def test_every_imported_kind_passes_the_gate_in_both_engines(heads, volumes, tmp_path, kind):
    graph = graph_of(built(kind), heads)
    path = export(graph, tmp_path / "model.onnx", shape=SHAPE)
    parity(path, graph, volumes, tolerance=1e-5, batches=(1, 2))
    half = to_fp16(path, tmp_path / "model.fp16.onnx")
    parity(half, graph, volumes, tolerance=5e-3)
    given = (torch.from_numpy(np.stack([v[i] for v in volumes])[:, None]) for i in (0, 1))
    with torch.inference_mode():
        found = dict(zip(graph.output_names, graph(*given), strict=True))
    for name in ("age", "sex"):
        mean = found[f"{name}_map"].mean((2, 3, 4))
        torch.testing.assert_close(mean, found[name], atol=1e-4, rtol=1e-4)
