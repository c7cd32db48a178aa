"""Weights go from torch to ONNX, their BatchNorm folded, and back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from benchmarks.bench import torch_system
from export.graph import BundleGraph
from export.onnx import export
from training import encoders

SHAPE = (24, 32, 32)
WIDTH = 1 / 16


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    encoder = encoders.build("resnet18", WIDTH).eval()
    for layer in encoder.modules():
        if isinstance(layer, nn.BatchNorm3d):
            layer.running_mean.normal_(0, 0.1)
            layer.running_var.uniform_(0.5, 2.0)
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    return export(BundleGraph(encoder, []), path, shape=SHAPE)


def test_the_embedding_comes_back(model: Path) -> None:
    rng = np.random.default_rng(0)
    volume = rng.normal(900, 100, (1, 1, *SHAPE)).astype(np.float32)
    mask = np.ones_like(volume)
    (expected,) = onnxruntime.InferenceSession(model).run(None, {"volume": volume, "mask": mask})
    torch.manual_seed(1)
    encoder = encoders.build("resnet18", WIDTH).eval()
    assert torch_system.load(encoder, model) == torch_system.BUNDLE
    inputs = torch.from_numpy(volume), torch.from_numpy(mask)
    with torch.inference_mode():
        (found,) = BundleGraph(encoder, [])(*inputs)
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)
        torch_system.fold(encoder)
        assert not any(isinstance(layer, nn.BatchNorm3d) for layer in encoder.modules())
        (folded,) = BundleGraph(encoder, [])(*inputs)
        np.testing.assert_allclose(folded, expected, rtol=1e-3, atol=1e-5)


def test_what_does_not_fit_is_random_and_said(model: Path) -> None:
    assert "random" in torch_system.load(encoders.build("vit_tiny").eval(), model)
