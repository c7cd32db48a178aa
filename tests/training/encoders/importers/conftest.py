"""Networks as their libraries make them, whose statistics are not the identity, and their files."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from training import encoders
from training.encoders.told import NOTHING
from training.runs.imported import convert


def stirred(network: nn.Module) -> nn.Module:
    """In eval mode, with random statistics of every norm."""
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm3d):
            layer.running_mean.normal_(0, 0.1)
            layer.running_var.uniform_(0.5, 2.0)
    return network.eval()


@pytest.fixture
def made() -> Callable[[Callable[[], nn.Module]], nn.Module]:
    """A network of fixed random weights, stirred."""

    def make(build):
        torch.manual_seed(0)
        return stirred(build())

    return make


@pytest.fixture
def imported(tmp_path):
    """A state dictionary through a file and `fmtool train import`'s folder: encoder and facts."""

    def run(state, name="checkpoint.pt", told=NOTHING):
        torch.save(state, tmp_path / name)
        info = convert(tmp_path / name, tmp_path / "encoder", told)
        encoder, again = encoders.load_checkpoint(tmp_path / "encoder")
        assert again["sha256"] == info["sha256"]
        assert again.get("input") == info.get("input")
        assert info["missing"] == []
        return encoder, info

    return run
