"""MONAI's DenseNets: what is imported computes what MONAI's own module computes."""

from __future__ import annotations

import json

import pytest
import torch
from monai.networks import nets

from fmtool.errors import InputError, UsageError
from training import encoders
from training.encoders import upstream
from training.encoders.own_input import MIN_MAX, OwnInput

pytestmark = pytest.mark.usefixtures("one_thread")

SMALL = {"init_features": 8, "growth_rate": 4, "block_config": (2, 3, 2, 1)}


def dense(**changes):
    return nets.DenseNet(spatial_dims=3, in_channels=1, out_channels=2, **{**SMALL, **changes})


@pytest.mark.slow
@torch.inference_mode()
def test_densenet_121(made, imported):
    network = made(lambda: nets.DenseNet121(spatial_dims=3, in_channels=1, out_channels=1))
    encoder, info = imported({"state_dict": network.state_dict()})
    volume = torch.randn(2, 1, 35, 40, 47)
    wanted = torch.relu(network.features(volume)).mean((2, 3, 4))
    torch.testing.assert_close(encoder(volume), wanted, atol=1e-5, rtol=1e-5)
    # What MONAI's last layer makes of it is what MONAI answers.
    torch.testing.assert_close(network.class_layers.out(encoder(volume)), network(volume))
    assert (info["architecture"], info["features"]) == ("densenet", 1024)
    assert info["dropped"] == ["class_layers.out.bias", "class_layers.out.weight"]
    assert info["unexpected"] == []
    (said,) = info["remarks"]
    assert "do not tell what input" in said
    assert "--trained-on" in said


@pytest.mark.parametrize(
    "changes",
    [{}, {"bn_size": 2}, {"block_config": (1, 2, 1)}, {"dropout_prob": 0.2, "growth_rate": 6}],
    ids=str,
)
@torch.inference_mode()
def test_any_depth_and_width_below_any_prefix(made, imported, changes):
    network = made(lambda: dense(**changes))
    state = {f"model.net.module.{name}": t for name, t in network.state_dict().items()}
    encoder, info = imported({"state_dict": state | {"model.loss.weight": torch.ones(2)}})
    volume = torch.randn(1, 1, 40, 36, 33)
    wanted = torch.relu(network.features(volume)).mean((2, 3, 4))
    torch.testing.assert_close(encoder(volume), wanted, atol=1e-5, rtol=1e-5)
    maps = encoders.features(encoder, volume)
    torch.testing.assert_close(maps.mean((2, 3, 4)), wanted, atol=1e-5, rtol=1e-5)
    assert info["unexpected"] == ["model.loss.weight"]


def test_it_trains_as_monais_does(made, imported):
    """Gradients and running statistics, with activations recomputed or not."""
    network = made(dense)
    encoder, _ = imported(network.state_dict())
    volume = torch.randn(2, 1, 32, 32, 32)
    network.train()
    encoder.train()
    torch.relu(network.features(volume)).mean((2, 3, 4)).square().sum().backward()
    maps = encoders.features(encoder, volume, recompute=True)
    encoders.pool(encoder, maps).square().sum().backward()
    wanted = {name: p.grad for name, p in network.named_parameters() if p.grad is not None}
    found = {name: p.grad for name, p in encoder.named_parameters()}
    assert found.keys() == wanted.keys()
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, wanted[name], atol=1e-5, rtol=1e-4)
    for name, buffer in encoder.named_buffers():
        torch.testing.assert_close(buffer, network.get_buffer(name), atol=1e-5, rtol=1e-5)


@torch.inference_mode()
def test_one_that_was_trained_on_less_is_given_that(made, imported):
    """As MONAI's own tutorial on brain age prepares a head: resized, then scaled from 0 to 1."""
    transforms = pytest.importorskip("monai.transforms")
    network = made(dense)
    own = OwnInput((30, 36, 36), MIN_MAX)
    encoder, info = imported(network.state_dict(), told=encoders.Told(own=own))
    head = torch.zeros(1, 1, 60, 72, 72)
    head[..., 12:50, 10:60, 15:57] = torch.rand(1, 1, 38, 50, 42) * 700
    head[..., 12, 10, 15] = 0.0  # the darkest voxel is black
    inside = (head > 0).float()
    inside[..., 12, 10, 15] = 1.0
    resized = transforms.Resize((30, 36, 36), mode="trilinear")(head[0])
    prepared = transforms.ScaleIntensity()(resized)[None].as_tensor()
    wanted = torch.relu(network.features(prepared)).mean((2, 3, 4))
    found = encoder(encoders.masked_zscore(head, inside))
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(encoder(prepared), wanted, atol=1e-5, rtol=1e-5)
    assert info["input"] == {"shape": [30, 36, 36], "intensities": "min-max", "frame": "resized"}
    assert "30x36x36 voxels, min-max" in info["remarks"][0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"features.conv0.weight": torch.zeros(8, 2, 7, 7, 7)}, "of one channel"),
        ({"features.conv0.weight": torch.zeros(8, 1, 7, 7)}, "of one channel"),
        (
            {"features.denseblock1.denselayer1.layers.conv2.weight": torch.ones(())},
            "of one channel",
        ),
        ({"features.conv0.weight": torch.zeros(512, 1, 7, 7, 7)}, "init_features 512"),
        ({"features.denseblock1.denselayer1.layers.conv2.weight": None}, "lacks"),
        ({"features.denseblock3.denselayer1.layers.conv1.weight": None}, "lacks 1 of the"),
        ({"features.denseblock9.denselayer1.layers.conv1.weight": torch.zeros(1)}, "1 to 6 parts"),
        ({"features.denseblock4.denselayer999.x": torch.zeros(1)}, "block_config 999"),
        ({"features.norm5.bias": torch.zeros(3)}, "shape"),
    ],
)
def test_what_is_none_is_refused(made, imported, change, words):
    state = made(dense).state_dict() | change
    with pytest.raises(InputError, match=words):
        imported({name: t for name, t in state.items() if t is not None})


def test_a_folder_whose_input_was_changed_is_refused(made, imported, tmp_path):
    own = OwnInput((32, 36, 36), MIN_MAX)
    encoder, _ = imported(made(dense).state_dict(), told=encoders.Told(own=own))
    facts = json.loads((tmp_path / "encoder" / "encoder.json").read_text())
    for change in ({}, {**facts["input"], "shape": [32, 36, 37]}, {"shape": [0, 1, 1]}):
        (tmp_path / "encoder" / "encoder.json").write_text(json.dumps({**facts, "input": change}))
        with pytest.raises(
            InputError, match=r"another input than the weights|encoder\.json is damaged"
        ):
            encoders.load_checkpoint(tmp_path / "encoder")
    with pytest.raises(UsageError, match="only a whole residual network of fmtool's input"):
        encoders.gridded(encoder, 1, (1, 1, 1))
    with pytest.raises(UsageError, match="save the encoder's folder"):
        upstream.write(tmp_path / "a.pt", encoder, None, None)


def test_an_input_that_leaves_no_map_is_refused(made, imported):
    for shape, wrong in (((2, 2, 2), InputError), ((300, 9, 9), UsageError)):
        with pytest.raises(wrong, match=r"no map of so small an input|own input is not"):
            imported(made(dense).state_dict(), told=encoders.Told(own=OwnInput(shape)))
