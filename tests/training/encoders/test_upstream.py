"""Upstream's layout: its exact names, what is kept, and what is refused."""

from __future__ import annotations

import pytest
import torch
from monai.networks.nets.resnet import resnet18

from fmtool.errors import InputError, UsageError
from training import encoders
from training.encoders import upstream
from training.encoders.projector import projector

TINY = 0.03125


@pytest.fixture(scope="module")
def pair():
    torch.manual_seed(0)
    encoder = encoders.build(width=TINY)
    encoder(torch.randn(2, 1, 16, 16, 16))
    return encoder.eval(), projector(16)


def same(a, b):
    sa, sb = a.state_dict(), b.state_dict()
    return sa.keys() == sb.keys() and all(torch.equal(sa[k], sb[k]) for k in sa)


def upstream_names():
    """Upstream's encoder as its code makes it, and its projector's two layers."""
    with torch.device("meta"):
        network = resnet18(
            spatial_dims=3, n_input_channels=1, num_classes=1, feed_forward=False,
            shortcut_type="B", bias_downsample=True,
        )  # fmt: skip
    shapes = {f"encoder.{name}": t.shape for name, t in network.state_dict().items()}
    shapes["projector.0.weight"] = torch.Size((512, 512))
    shapes["projector.2.weight"] = torch.Size((64, 512))
    return shapes


def test_names_and_shapes_are_upstreams_and_nothing_else(tmp_path):
    path = upstream.write(tmp_path / "a.tar", encoders.build(), projector(512), 12)
    content = torch.load(path, weights_only=True)
    assert set(content) == {"model_state_dict", "optimizer_state_dict", "epoch"}
    assert content["epoch"] == 12
    found = {name: tensor.shape for name, tensor in content["model_state_dict"].items()}
    assert found == upstream_names()
    assert len(found) == 20 + 20 * 5 + 3 + 2  # convolutions, norms, biases of shortcuts, projector
    assert {name.split(".")[1] for name in found if name.startswith("encoder.")} == {
        "conv1", "bn1", "layer1", "layer2", "layer3", "layer4",
    }  # fmt: skip


def test_round_trip_with_projector_and_optimizer(tmp_path, pair):
    encoder, head = pair
    solver = torch.optim.Adam([*encoder.parameters(), *head.parameters()], lr=3e-4)
    path = upstream.write(tmp_path / "a.pt", encoder, head, 7, solver.state_dict())
    loaded, projected, info = upstream.load_pretraining(path)
    assert same(loaded, encoder)
    assert same(projected, head)
    assert not loaded.training
    assert not projected.training
    assert (info["epoch"], info["missing"], info["unexpected"]) == (7, [], [])
    assert info["projector"] == ["projector.0.weight", "projector.2.weight"]
    state = torch.load(path, weights_only=True)["optimizer_state_dict"]
    assert state["param_groups"][0]["lr"] == 3e-4
    assert [file.name for file in tmp_path.iterdir()] == ["a.pt"]


def test_without_a_projector(tmp_path, pair):
    upstream.write(tmp_path / "a.pth", pair[0], None, None)
    encoder, head, info = upstream.load_pretraining(tmp_path / "a.pth")
    assert same(encoder, pair[0])
    assert head is None
    assert "epoch" not in info


def test_resnet50_round_trip(tmp_path):
    encoder = encoders.build("resnet50", TINY)
    head = projector(64)
    upstream.write(tmp_path / "a.pt", encoder, head, 1)
    loaded, projected, info = upstream.load_pretraining(tmp_path / "a.pt")
    assert same(loaded, encoder)
    assert same(projected, head)
    assert info["architecture"] == "resnet50"


def test_a_wrapped_models_names_are_read(tmp_path, pair):
    state = {f"module.encoder.{k}": t for k, t in pair[0].state_dict().items()}
    state |= {f"module.projector.{k}": t for k, t in pair[1].state_dict().items()}
    torch.save({"model_state_dict": state, "epoch": 1}, tmp_path / "a.tar")
    encoder, head, _ = upstream.load_pretraining(tmp_path / "a.tar")
    assert same(encoder, pair[0])
    assert same(head, pair[1])


def test_other_projectors_are_refused(tmp_path, pair):
    state = {f"encoder.{k}": t for k, t in pair[0].state_dict().items()}
    good = {f"projector.{k}": t for k, t in pair[1].state_dict().items()}
    for change, words in (
        ({"projector.2.weight": None}, "lacks 1 of the 2"),
        ({"projector.2.weight": torch.zeros(8, 16)}, "shape"),
        ({"projector.0.weight": torch.full((16, 16), torch.nan)}, "NaN"),
        ({"projector.0.bias": torch.zeros(16)}, r"other layers.*projector\.0\.bias"),
    ):
        found = {k: t for k, t in (state | good | change).items() if t is not None}
        torch.save({"model_state_dict": found}, tmp_path / "a.pt")
        with pytest.raises(InputError, match=words):
            upstream.load_pretraining(tmp_path / "a.pt")
        encoders.load_checkpoint(tmp_path / "a.pt")  # who wants the encoder alone is served


def test_what_cannot_be_written_is_refused_and_leaves_nothing(tmp_path, pair):
    (tmp_path / "there.pt").write_bytes(b"mine")
    with pytest.raises(InputError, match=r"there\.pt exists"):
        upstream.write(tmp_path / "there.pt", *pair, 1)
    with pytest.raises(InputError, match="cannot write"):
        upstream.write(tmp_path / "absent" / "a.pt", *pair, 1)
    with pytest.raises(UsageError, match="must end in"):
        upstream.write(tmp_path / "a.bin", *pair, 1)
    with pytest.raises(UsageError, match="residual network"):
        upstream.write(tmp_path / "a.pt", encoders.build("vit_tiny", 0.125), None, 1)
    assert (tmp_path / "there.pt").read_bytes() == b"mine"
    assert [file.name for file in tmp_path.iterdir()] == ["there.pt"]
