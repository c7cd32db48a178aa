"""A narrow encoder with two heads, its ONNX files, and small head-shaped volumes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from export.graph import BundleGraph
from export.int8 import to_int8
from export.onnx import export
from export.precision import to_fp16
from fmtool import task
from training import encoders
from training.evidence.head import Head

WIDTH = 0.0625
SHAPE = (24, 32, 32)


def make_encoder(seed: int = 0) -> nn.Module:
    """A ResNet-18 of width 1/16 whose BatchNorm statistics are not the identity."""
    torch.manual_seed(seed)
    encoder = encoders.build("resnet18", width=WIDTH)
    for layer in encoder.modules():
        if isinstance(layer, nn.BatchNorm3d):
            layer.running_mean.normal_(0, 0.1)
            layer.running_var.uniform_(0.5, 2.0)
    return encoder.eval()


def make_heads(features: int, seed: int = 0) -> list[Head]:
    rng = np.random.default_rng(seed)
    evidence = {"beats_baseline": False, "baseline_name": "the mean age"}
    return [
        Head(task.AGE, rng.normal(size=features), 35.0, evidence, ""),
        Head(task.SEX, rng.normal(size=features), 0.1, evidence, ""),
    ]


def make_volume(
    shape: tuple[int, int, int] = SHAPE, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """An ellipsoid of tissue-like intensities around 900, far from zero, and its mask."""
    rng = np.random.default_rng(seed)
    axes = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    mask = (sum(axis**2 for axis in axes) < 0.8).astype(np.float32)
    volume = (900 + 150 * np.sin(4 * axes[0]) + rng.normal(0, 40, shape)) * mask
    return volume.astype(np.float32), mask


@pytest.fixture(scope="session")
def graph() -> BundleGraph:
    encoder = make_encoder()
    return BundleGraph(encoder, make_heads(int(512 * WIDTH)))


@pytest.fixture(scope="session")
def volumes() -> list[tuple[np.ndarray, np.ndarray]]:
    return [make_volume(seed=seed) for seed in (0, 1, 2)]


@pytest.fixture(scope="session")
def model32(graph: BundleGraph, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    return export(graph, path, shape=SHAPE, metadata={"encoder": "resnet18 0.0625"})


@pytest.fixture(scope="session")
def model16(model32: Path) -> Path:
    return to_fp16(model32, model32.with_name("model.fp16.onnx"))


@pytest.fixture(scope="session")
def model8(model32: Path, volumes: list[tuple[np.ndarray, np.ndarray]]) -> Path:
    path = model32.with_name("model.int8.onnx")
    mix = to_int8(model32, path, volumes[:2], score=lambda _: 1.0)
    assert {layer.precision for layer in mix.layers} == {"int8"}
    assert len(mix.layers) == 20
    assert mix.layers[0].name == "encoder.conv1"
    assert mix.describe() == "20 of 20 convolutions in int8"
    return path


@pytest.fixture(scope="session")
def heads() -> list[Head]:
    return make_heads(int(512 * WIDTH))
