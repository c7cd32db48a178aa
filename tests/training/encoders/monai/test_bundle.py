"""What is imported computes what MONAI's own module computes, and keeps it in our own folder."""

from __future__ import annotations

import json
import shutil
import zipfile

import pytest
import torch
from monai.networks import nets

from fmtool.errors import InputError, UsageError
from training import encoders
from training.encoders import stem
from training.encoders.layout import Residual
from training.encoders.own_input import OwnInput
from training.runs.imported import convert

pytestmark = pytest.mark.usefixtures("one_thread")

RESNETS = {
    "a head and strides": {},
    "as upstream": {"conv1_t_stride": 1, "bias_downsample": True},
    "an even kernel, no pooling": {"conv1_t_size": [4, 3, 5], "no_max_pool": True},
    "zeros for shortcuts": {"shortcut_type": "A", "act": ["relu", {"inplace": False}]},
    "wide, without a head": {"widen_factor": 0.0625, "feed_forward": False},
}
VITS = {
    "plain": ("ViT", {}),
    "class token": ("ViT", {"classification": True, "num_classes": 3}),
    "linear patches": ("ViT", {"proj_type": "perceptron", "patch_size": [15, 32, 32]}),
    "sines": ("ViT", {"pos_embed_type": "sincos", "dropout_rate": 0.1}),
    "biased attention": ("ViT", {"qkv_bias": True, "save_attn": True}),
    "autoencoder": ("ViTAutoEnc", {"patch_size": [25, 16, 16]}),
}


def volumes(*shape):
    return torch.randn(2, 1, *shape, generator=torch.Generator().manual_seed(1))


def pooled(network, volume):
    """What MONAI's residual network computes before its last layer."""
    found = []
    hook = network.avgpool.register_forward_hook(lambda *call: found.append(call[2].flatten(1)))
    network(volume)
    hook.remove()
    return found[0]


def tokens(network, volume):
    """The normalised tokens of MONAI's transformer, (B, T, F), without a class token."""
    found = []
    hook = network.norm.register_forward_hook(lambda *call: found.append(call[2]))
    network(volume)
    hook.remove()
    return found[0][:, 1:] if hasattr(network, "cls_token") else found[0]


@pytest.fixture
def imported(made, tmp_path):
    """Import a bundle of this network into our own folder, and load that."""

    def run(network, definition):
        made.write(tmp_path / "bundle", definition, network.state_dict())
        info = convert(tmp_path / "bundle", tmp_path / "encoder")
        encoder, again = encoders.load_checkpoint(tmp_path / "encoder")
        assert again["sha256"] == info["sha256"]
        assert info["format"] == "monai bundle"
        assert again["source"] == "MONAI bundle Brain age 0.2.1"
        assert info["unexpected"] == info["missing"] == []
        return encoder, info

    return run


@pytest.mark.parametrize("depth", ["resnet10", "resnet18", "resnet50"])
@pytest.mark.parametrize("variant", RESNETS)
@torch.inference_mode()
def test_a_residual_network(made, imported, depth, variant):
    network, definition = made.resnet(depth, **RESNETS[variant])
    encoder, info = imported(network, definition)
    volume = volumes(22, 24, 27)
    wanted = pooled(network, volume)
    torch.testing.assert_close(encoder(volume), wanted, atol=1e-5, rtol=1e-5)
    maps = encoders.features(encoder, volume)
    torch.testing.assert_close(maps.mean((2, 3, 4)), wanted, atol=1e-5, rtol=1e-5)
    assert (info["architecture"], info["features"]) == (depth, wanted.shape[1])
    assert info["dropped"] == ([] if "without" in variant else ["fc.bias", "fc.weight"])
    assert ("layout" in info) == (variant != "as upstream")


@pytest.mark.parametrize("variant", VITS)
@torch.inference_mode()
def test_a_transformer(made, imported, variant):
    network, definition = made.vit(VITS[variant][0], **VITS[variant][1])
    encoder, info = imported(network, definition)
    volume = volumes(150, 192, 192)
    wanted = tokens(network, volume)
    maps = encoders.features(encoder, volume)
    torch.testing.assert_close(maps.flatten(2).mT, wanted, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(encoder(volume), wanted.mean(1), atol=1e-5, rtol=1e-5)
    assert (info["architecture"], info["features"]) == ("vit", 12)
    assert not any(name.startswith("embed") for name in info["dropped"])
    kinds = {name.split(".")[0].rstrip("_1") for name in info["dropped"]} - {"blocks"}
    dropped = {"class token": {"classification_head"}, "autoencoder": {"conv3d_transpose"}}
    assert kinds == dropped.get(variant, set())


@torch.inference_mode()
def test_a_transformer_by_its_names_alone(made, tmp_path):
    state, definition = made.named_vit
    stale = {"blocks.0.norm_cross_attn.weight": torch.ones(12)}  # as some versions of MONAI store
    made.write(tmp_path / "a", definition, state | stale)
    encoder, info = encoders.load_checkpoint(tmp_path / "a")
    assert (info["dropped"], info["unexpected"]) == ([*stale], [])
    volume = volumes(150, 192, 192)
    embedded = torch.nn.functional.conv3d(
        volume,
        state["patch_embedding.patch_embeddings.weight"],
        state["patch_embedding.patch_embeddings.bias"],
        stride=(30, 32, 32),
    )
    here = embedded.flatten(2).mT + state["patch_embedding.position_embeddings"]
    for block in encoder.blocks:
        here = block(here)
    torch.testing.assert_close(encoder(volume), encoder.norm(here).mean(1))
    assert torch.equal(encoder.blocks[1].attn.qkv.weight, state["blocks.1.attn.qkv.weight"])
    assert not encoder.blocks[1].attn.qkv.bias.any()


@torch.inference_mode()
def test_another_grid_pads_the_volume_and_interpolates_positions(made, tmp_path):
    state, definition = made.named_vit
    # A position that grows evenly along z goes on so between the places where it was learned.
    ramp = torch.arange(3).float().view(3, 1, 1, 1).expand(3, 3, 3, 12).reshape(1, 27, 12)
    state = state | {"patch_embedding.position_embeddings": ramp}
    made.write(tmp_path / "a", definition | {"img_size": 96}, state)
    encoder, info = encoders.load_checkpoint(tmp_path / "a")
    assert info["layout"]["img_size"] == [150, 192, 192]
    found = encoder.positions.unflatten(0, (5, 6, 6))
    torch.testing.assert_close(found[:, 2, 3, 4], torch.tensor([0.0, 0.4, 1.0, 1.6, 2.0]))
    found = encoder.places((10, 6, 6), torch.device("cpu")).unflatten(0, (10, 6, 6))
    torch.testing.assert_close(found[:2, 0, 0, 0], torch.tensor([0.0, 0.1]))

    volume = volumes(147, 192, 192)
    around = torch.nn.functional.pad(volume, (0, 0, 0, 0, 1, 2))
    torch.testing.assert_close(encoder(volume), encoder(around))
    assert encoders.features(encoder, volumes(31, 32, 33)).shape == (2, 12, 2, 1, 2)


def test_training_goes_on_after_an_import(made, imported):
    network, definition = made.resnet(no_max_pool=True, conv1_t_size=4)
    encoder, _ = imported(network, definition)
    volume = volumes(9, 10, 12)
    running = []
    for one_by_one in (False, True):
        encoder.bn1.running_var.fill_(1.0)
        encoder.train()
        stem.one_by_one(encoder, volume) if one_by_one else encoder.bn1(encoder.conv1(volume))
        running.append(encoder.bn1.running_var.clone())
    torch.testing.assert_close(*running)
    encoders.features(encoder, volume, recompute=True).sum().backward()
    assert encoder.conv1.weight.grad.any()


@torch.inference_mode()
def test_a_zip_and_plain_references(made, tmp_path):
    network, definition = made.resnet()
    definition |= {"n_input_channels": "@channels", "conv1_t_stride": ["@strides::0", "@s", "@s"]}
    more = {"channels": "@one", "one": 1, "strides": [2], "s": "@strides#0", "network": "$x"}
    folder = made.write(tmp_path / "made", definition, {"model": network.state_dict()}, **more)
    (folder / "configs" / "inference.json").rename(folder / "configs" / "train.json")
    shutil.make_archive(str(tmp_path / "top"), "zip", folder)
    shutil.make_archive(str(tmp_path / "nested"), "zip", tmp_path, "made")
    wanted = pooled(network, volumes(16, 16, 16))
    for name in ("made", "top.zip", "nested.zip"):
        encoder, _ = encoders.load_checkpoint(tmp_path / name)
        torch.testing.assert_close(encoder(volumes(16, 16, 16)), wanted)


def test_the_general_class_is_told_by_its_blocks(made, tmp_path):
    network, definition = made.resnet("resnet50")
    definition |= {
        "_target_": "monai.networks.nets.ResNet", "_desc_": "as published",
        "block": "bottleneck", "layers": [3, 4, 6, 3], "block_inplanes": [64, 128, 256, 512],
    }  # fmt: skip
    made.write(tmp_path / "a", definition, network.state_dict())
    assert encoders.load_checkpoint(tmp_path / "a")[1]["architecture"] == "resnet50"
    made.write(tmp_path / "b", definition | {"layers": [3, 4, 6, 2]}, network.state_dict())
    with pytest.raises(InputError, match=r"layers \[3, 4, 6, 2\] is none of resnet10"):
        encoders.load_checkpoint(tmp_path / "b")


def test_a_layout_that_upstream_cannot_say_is_not_written_so(made, tmp_path):
    network, definition = made.resnet()
    made.write(tmp_path / "a", definition, network.state_dict())
    with pytest.raises(UsageError, match="save the encoder's folder"):
        convert(tmp_path / "a", tmp_path / "a.pt")
    assert not (tmp_path / "a.pt").exists()


@pytest.mark.parametrize(
    "change", [{"conv1_t_size": 99}, {"shortcut_type": "C"}, {"no_max_pool": 1}, {"layout": 3}]
)
def test_a_damaged_layout_in_our_own_folder_is_refused(made, imported, tmp_path, change):
    imported(*made.resnet())
    place = tmp_path / "encoder" / "encoder.json"
    facts = json.loads(place.read_text(encoding="utf-8"))
    assert facts["layout"] == {
        "conv1_t_size": [7, 7, 7], "conv1_t_stride": [2, 2, 2], "no_max_pool": False,
        "shortcut_type": "B", "bias_downsample": False,
    }  # fmt: skip
    layout = change.get("layout", facts["layout"] | change)
    place.write_text(json.dumps(facts | {"layout": layout}))
    with pytest.raises(InputError, match="damaged"):
        encoders.load_checkpoint(tmp_path / "encoder")


def test_upstreams_own_layout_is_the_default():
    assert encoders.describe(encoders.build(width=0.03125)).layout is None
    assert Residual().conv1_t_stride == (1, 1, 1)


def test_weights_that_are_not_the_networks(made, tmp_path):
    network, definition = made.resnet()
    state = network.state_dict()
    made.write(tmp_path / "more", definition, state | {"aux.weight": torch.zeros(2)})
    assert encoders.load_checkpoint(tmp_path / "more")[1]["unexpected"] == ["aux.weight"]
    short = {name: t for name, t in state.items() if name != "conv1.weight"}
    made.write(tmp_path / "short", definition, short)
    with pytest.raises(InputError, match=r"lacks 1 of the .* encoder of its resnet18 .*conv1"):
        encoders.load_checkpoint(tmp_path / "short")
    made.write(tmp_path / "other", definition | {"bias_downsample": True}, state)
    with pytest.raises(InputError, match=r"lacks 3 of .*downsample\.0\.bias"):
        encoders.load_checkpoint(tmp_path / "other")


def test_members_of_a_zip_that_lead_outside(made, tmp_path):
    network, definition = made.resnet()
    folder = made.write(tmp_path / "made", definition, network.state_dict())
    shutil.make_archive(str(tmp_path / "a"), "zip", folder)
    for name in ("../out.txt", "/out.txt", "x/../../out.txt"):
        shutil.copy(tmp_path / "a.zip", tmp_path / "b.zip")
        with zipfile.ZipFile(tmp_path / "b.zip", "a") as archive:
            archive.writestr(name, "out")
        with pytest.raises(InputError, match="a member outside of it"):
            encoders.load_checkpoint(tmp_path / "b.zip")
        assert not list(tmp_path.rglob("out.txt"))


def test_what_a_bundle_declares_of_its_input_is_compared(made, tmp_path):
    network, definition = made.resnet()
    folder = made.write(tmp_path / "bundle", definition, network.state_dict())
    assert encoders.load_checkpoint(folder)[1]["remarks"] == []
    about = folder / "configs" / "metadata.json"
    image = {"spatial_shape": [96, 96, 96], "value_range": [0, 1], "num_channels": 1}
    declared = {"network_data_format": {"inputs": {"image": image}}}
    about.write_text(json.dumps(json.loads(about.read_text()) | declared))
    config = next((folder / "configs").glob("*n*e.json"))
    steps = [{"_target_": "Spacingd", "keys": "image", "pixdim": "@spacing"}]
    given = json.loads(config.read_text()) | {"spacing": [2.0, 2.0, 2.0]}
    config.write_text(json.dumps(given | {"preprocessing": {"transforms": steps}}))
    assert encoders.load_checkpoint(folder)[1]["remarks"] == [
        "the bundle declares an input of 96x96x96 voxels; fmtool gives 150x192x192.",
        "the bundle declares intensities from 0 to 1; fmtool gives z-scores inside the brain, "
        "zero outside.",
        "the bundle's transforms make voxels of 2x2x2 mm; fmtool gives 1 mm.",
    ]
    image["spatial_shape"], image["value_range"] = ["16*n", "*"], "[0, 1]"
    about.write_text(json.dumps(declared))
    config.write_text(json.dumps(given | {"spacing": "$[1, 1, 1]"}))
    assert encoders.load_checkpoint(folder)[1]["remarks"] == []


@pytest.mark.parametrize("name", ["DenseNet", "monai.networks.nets.densenet.DenseNet"])
@torch.inference_mode()
def test_a_densenet(made, imported, name):
    small = {"init_features": 8, "growth_rate": 4, "block_config": [2, 1, 2], "bn_size": 2}
    given = {"spatial_dims": 3, "in_channels": 1, "out_channels": 1, **small}
    torch.manual_seed(0)
    network = nets.DenseNet(**given).eval()
    definition = {"_target_": name, **given, "act": ["relu", {"inplace": False}]}
    encoder, info = imported(network, definition)
    volume = volumes(33, 40, 35)
    wanted = torch.relu(network.features(volume)).mean((2, 3, 4))
    torch.testing.assert_close(encoder(volume), wanted, atol=1e-5, rtol=1e-5)
    assert info["dropped"] == ["class_layers.out.bias", "class_layers.out.weight"]


@torch.inference_mode()
def test_a_bundles_network_can_be_given_its_own_input(made, tmp_path):
    network, definition = made.resnet("resnet10")
    made.write(tmp_path / "bundle", definition, network.state_dict())
    told = encoders.Told(own=OwnInput((24, 28, 28)))
    convert(tmp_path / "bundle", tmp_path / "encoder", told)
    encoder, info = encoders.load_checkpoint(tmp_path / "encoder")
    volume = volumes(24, 28, 28)
    torch.testing.assert_close(encoder(volume), pooled(network, volume), atol=1e-5, rtol=1e-5)
    assert info["input"]["shape"] == [24, 28, 28]
    vit, definition = made.named_vit
    made.write(tmp_path / "vit", definition, vit)
    with pytest.raises(UsageError, match="only a convolutional network"):
        encoders.load_checkpoint(tmp_path / "vit", told)
