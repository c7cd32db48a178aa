"""MedicalNet's residual networks, against MONAI's `resnet` with MedicalNet's dilations."""

from __future__ import annotations

import pytest
import torch
from monai.networks.nets import resnet
from torch import nn

from training import encoders
from training.encoders.importers import medicalnet
from training.encoders.own_input import OwnInput

pytestmark = pytest.mark.usefixtures("one_thread")


def monais(name, shortcut, width=0.03125, **changes):
    return getattr(resnet, name)(
        spatial_dims=3, n_input_channels=1, feed_forward=False, widen_factor=width,
        shortcut_type=shortcut, bias_downsample=False, conv1_t_stride=2, **changes,
    )  # fmt: skip


def dilated(network):
    """As MedicalNet's segmentation network is: layers 3 and 4 keep the map and dilate."""
    for layer, step in ((network.layer3, 2), (network.layer4, 4)):
        for block in layer:
            if isinstance(block.downsample, nn.Sequential):
                block.downsample[0].stride = (1, 1, 1)
            elif block.downsample is not None:
                block.downsample.keywords["stride"] = 1
            for conv in (block.conv1, block.conv2):
                conv.stride = (1, 1, 1)
                if conv.kernel_size == (3, 3, 3):
                    conv.dilation = conv.padding = (step, step, step)
    return network


def saved(network):
    return {"state_dict": {f"module.{name}": t for name, t in network.state_dict().items()}}


@pytest.mark.parametrize(
    ("name", "shortcut"),
    [("resnet10", "B"), ("resnet18", "A"), ("resnet34", "A"), ("resnet50", "B")],
)
@torch.inference_mode()
def test_as_it_was_trained(made, imported, monkeypatch, name, shortcut):
    monkeypatch.setattr(medicalnet, "CHANNELS", 2)
    network = dilated(made(lambda: monais(name, shortcut)))
    encoder, info = imported(saved(network), "resnet_23dataset.pth")
    volume = torch.randn(2, 1, 29, 24, 35)
    torch.testing.assert_close(encoder(volume), network(volume), atol=1e-5, rtol=1e-5)
    assert encoders.features(encoder, volume).shape[2:] == (4, 3, 5)
    assert (info["architecture"], info["layout"]["dilated"]) == (name, True)
    (said,) = info["remarks"]
    assert "z-scored above zero" in said
    assert "--stem-stride 2" in said


@pytest.mark.slow
@torch.inference_mode()
def test_a_published_size(made, imported):
    network = dilated(made(lambda: monais("resnet10", "B", width=1.0)))
    state = saved(network)
    state["state_dict"]["module.conv_seg.0.weight"] = torch.zeros(2)
    encoder, info = imported(state)
    volume = torch.randn(1, 1, 24, 24, 24)
    torch.testing.assert_close(encoder(volume), network(volume), atol=1e-5, rtol=1e-5)
    assert (info["features"], info["dropped"]) == (512, ["conv_seg.0.weight"])


@torch.inference_mode()
def test_monais_reading_of_the_same_weights_is_told_by_its_stride(made, imported, monkeypatch):
    monkeypatch.setattr(medicalnet, "CHANNELS", 2)
    network = made(lambda: monais("resnet10", "B"))
    encoder, info = imported(saved(network), told=encoders.Told(2))
    volume = torch.randn(1, 1, 40, 40, 40)
    torch.testing.assert_close(encoder(volume), network(volume), atol=1e-5, rtol=1e-5)
    assert "dilated" not in info["layout"]


@torch.inference_mode()
def test_an_input_that_is_told_is_given(made, imported, monkeypatch):
    monkeypatch.setattr(medicalnet, "CHANNELS", 2)
    network = dilated(made(lambda: monais("resnet10", "B")))
    told = encoders.Told(own=OwnInput((28, 40, 40)))
    encoder, info = imported(saved(network), told=told)
    volume = torch.randn(1, 1, 28, 40, 40)
    torch.testing.assert_close(encoder(volume), network(volume), atol=1e-5, rtol=1e-5)
    assert "28x40x40" in info["remarks"][0]
