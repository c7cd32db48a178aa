"""BrainIAC's two encoders, against MONAI's `resnet50` and `ViT` as BrainIAC feeds them."""

from __future__ import annotations

import json

import pytest
import safetensors.torch
import torch
from monai.networks.nets import resnet
from torch import nn

from fmtool.errors import InputError
from training import encoders
from training.encoders.importers import brainiac
from training.encoders.layout import Transformer
from training.encoders.own_input import MIN_MAX, OwnInput

pytestmark = pytest.mark.usefixtures("one_thread")

SMALL = Transformer((32, 32, 32), (16, 16, 16), 12, 20, 2, 3)


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(brainiac, "CHANNELS", 2)
    monkeypatch.setattr(brainiac, "RESNET_INPUT", OwnInput((32, 32, 32), MIN_MAX))
    monkeypatch.setattr(brainiac, "TRANSFORMER", SMALL)


def resnet50():
    """As `ResNet50_3D` has it, but for its width."""
    network = resnet.resnet50(widen_factor=0.03125)
    network.conv1 = nn.Conv3d(1, 2, kernel_size=7, stride=2, padding=3, bias=False)
    network.fc = nn.Identity()
    return network


def head():
    """A head of 60x64x64 voxels whose darkest voxel is black, and where it is."""
    volume = torch.zeros(1, 1, 60, 64, 64)
    volume[..., 10:50, 8:57, 9:55] = torch.rand(1, 1, 40, 49, 46) * 800 + 1
    inside = (volume > 0).float()
    volume[..., 10, 8, 9] = 0.0
    return volume, inside


@torch.inference_mode()
def test_the_resnet(small, made, imported):
    transforms = pytest.importorskip("monai.transforms")
    network = made(resnet50)
    state = {f"backbone.{name}": t for name, t in network.state_dict().items()}
    encoder, info = imported({"state_dict": state | {"projector.0.weight": torch.zeros(2)}})
    volume, inside = head()
    resized = transforms.Resize((32, 32, 32), mode="trilinear")(volume[0])
    own = transforms.ScaleIntensity(minv=0.0, maxv=1.0)(resized)[None].as_tensor()
    wanted = network(own)
    torch.testing.assert_close(encoder(own), wanted, atol=1e-5, rtol=1e-5)
    scored = encoders.masked_zscore(volume, inside)
    torch.testing.assert_close(encoder(scored), wanted, atol=1e-5, rtol=1e-5)
    assert (info["architecture"], info["features"]) == ("resnet50", 64)
    assert info["layout"]["conv1_t_stride"] == [2, 2, 2]
    assert "128x128x128 voxels scaled from 0 to 1" in info["remarks"][0]


@torch.inference_mode()
def test_a_stride_that_is_told_makes_it_anybodys(small, made, imported):
    network = made(resnet50)
    state = {f"backbone.{name}": t for name, t in network.state_dict().items()}
    encoder, info = imported(state, told=encoders.Told(2))
    volume = torch.randn(1, 1, 30, 30, 30)
    torch.testing.assert_close(encoder(volume), network(volume), atol=1e-5, rtol=1e-5)
    assert "input" not in info


@pytest.mark.parametrize("prefix", ["backbone.", "model.backbone.backbone."])
@torch.inference_mode()
def test_the_transformer(small, imported, prefix):
    pytest.importorskip("einops", reason="MONAI's transformer needs einops")
    from monai.networks.nets import ViT

    transforms = pytest.importorskip("monai.transforms")
    torch.manual_seed(0)
    network = ViT(
        in_channels=1, img_size=SMALL.img_size, patch_size=SMALL.patch_size,
        hidden_size=SMALL.hidden_size, mlp_dim=SMALL.mlp_dim, num_layers=SMALL.num_layers,
        num_heads=SMALL.num_heads, save_attn=True,
    ).eval()  # fmt: skip
    for weight in network.parameters():
        weight.data.add_(0.1 * torch.randn_like(weight))
    state = {f"{prefix}{name}": t for name, t in network.state_dict().items()}
    encoder, info = imported({"state_dict": state})
    volume, inside = head()
    resized = transforms.Resize((32, 32, 32), mode="trilinear")(volume[0])
    own = transforms.NormalizeIntensity(nonzero=True, channel_wise=True)(resized)
    wanted = network(own[None].as_tensor())[0]
    scored = encoders.masked_zscore(volume, inside)
    for given in (own[None].as_tensor(), scored):
        maps = encoders.features(encoder, given)
        torch.testing.assert_close(maps.flatten(2).mT, wanted, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(encoder(given), wanted.mean(1), atol=1e-5, rtol=1e-5)
    assert (info["architecture"], info["features"]) == ("vit", 12)
    assert info["unexpected"] == []
    assert "first patch's token" in info["remarks"][0]
    with pytest.raises(InputError, match="leave --trained-on out"):
        imported({"state_dict": state}, told=encoders.Told(own=OwnInput((48, 48, 48))))


def test_a_transformer_of_another_size_is_sent_the_way(imported):
    state = {
        "backbone.patch_embedding.position_embeddings": torch.zeros(1, 8, 12),
        "backbone.blocks.0.attn.qkv.weight": torch.zeros(36, 12),
    }
    with pytest.raises(InputError, match=r"MONAI's ViT a bundle"):
        imported(state)


@torch.inference_mode()
def test_any_of_monais_transformers_in_a_hugging_face_folder(tmp_path):
    """Its configuration tells what weights do not; every layout is read from such a folder."""
    pytest.importorskip("einops", reason="MONAI's transformer needs einops")
    from monai.networks.nets import ViT

    torch.manual_seed(0)
    told = {"img_size": [24, 32, 32], "patch_size": [8, 16, 16], "hidden_size": 12, "mlp_dim": 20}
    told |= {"num_layers": 1, "num_heads": 2, "classification": True}
    network = ViT(in_channels=1, qkv_bias=True, **told).eval()
    state = {name: t.contiguous() for name, t in network.state_dict().items()}
    safetensors.torch.save_file(state, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "vit3d", **told}))
    encoder, info = encoders.load_checkpoint(tmp_path)
    volume = torch.randn(2, 1, 24, 32, 32)
    found = []
    network.norm.register_forward_hook(lambda *call: found.append(call[2]))
    network(volume)
    torch.testing.assert_close(encoder(volume), found[0][:, 1:].mean(1), atol=1e-5, rtol=1e-5)
    assert (info["format"], info["input"]["shape"]) == ("hugging face", [24, 32, 32])
    for key, value in {"num_heads": 5, "img_size": [24, 32, 48], "patch_size": "big"}.items():
        (tmp_path / "config.json").write_text(json.dumps({**told, key: value}))
        with pytest.raises(InputError):
            encoders.load_checkpoint(tmp_path)
