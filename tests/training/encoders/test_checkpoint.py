"""Checkpoints of every accepted layout load alike; every broken or hostile one is refused."""

from __future__ import annotations

import argparse
import io
import json
import pickle
import struct
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from fmtool.errors import InputError, UsageError
from training import encoders
from training.encoders import checkpoint
from training.encoders.told import Told

TINY = 0.03125
PROJECTOR = {"projector.0.weight": torch.zeros(16, 16), "projector.2.weight": torch.zeros(8, 16)}


DIGEST_OF_ONES = "222952273a6a34cd0d2fbf078ff8e061874a8eeae3bea7acbfa1b036093b8c17"


class Evil:
    def __reduce__(self):
        return (Path.touch, (Path("ran-code"),))


@pytest.fixture(scope="module")
def encoder():
    torch.manual_seed(0)
    encoder = encoders.build(width=TINY)
    encoder(torch.randn(2, 1, 16, 16, 16))  # BatchNorm statistics that differ from a fresh one's
    return encoder.eval()


def upstream(encoder, prefix=""):
    state = {f"{prefix}encoder.{name}": t for name, t in encoder.state_dict().items()}
    state |= {prefix + name: t for name, t in PROJECTOR.items()}
    return {"model_state_dict": state, "optimizer_state_dict": {"state": {}}, "epoch": 7}


def tar_of(path, *files, mode="w"):
    with tarfile.open(path, mode) as archive:
        for name, content in files:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def torch_bytes(content):
    stream = io.BytesIO()
    torch.save(content, stream)
    return stream.getvalue()


def same(a, b):
    sa, sb = a.state_dict(), b.state_dict()
    return sa.keys() == sb.keys() and all(torch.equal(sa[k], sb[k]) for k in sa)


@pytest.mark.parametrize("prefix", ["", "module."])
def test_upstream_layout_under_its_tar_name(tmp_path, encoder, prefix):
    path = tmp_path / "simclr_3d_brain_foundation.tar"
    torch.save(upstream(encoder, prefix), path)
    loaded, info = encoders.load_checkpoint(path)
    assert same(loaded, encoder)
    assert not loaded.training
    assert info["format"] == "torch"
    assert (info["width"], info["features"], info["epoch"]) == (TINY, 16, 7)
    assert info["missing"] == info["unexpected"] == []
    assert info["projector"] == sorted(PROJECTOR)


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_a_real_tar_that_holds_the_torch_file(tmp_path, encoder, mode):
    # Names that would escape if they were ever used as paths.
    files = [("README.md", b"hello"), ("../../x.tar", torch_bytes(upstream(encoder)))]
    loaded, info = encoders.load_checkpoint(tar_of(tmp_path / "a.tar", *files, mode=mode))
    assert same(loaded, encoder)
    assert info["format"] == "tar"
    assert [p.name for p in tmp_path.iterdir()] == ["a.tar"]


def test_bare_state_dictionary_and_safetensors_file(tmp_path, encoder):
    torch.save(encoder.state_dict(), tmp_path / "bare.pt")
    folder = encoders.save_encoder(tmp_path / "enc", encoder, "a test")
    assert same(encoders.load_checkpoint(tmp_path / "bare.pt")[0], encoder)
    assert same(encoders.load_checkpoint(folder / "encoder.safetensors")[0], encoder)


def test_old_torch_format_and_half_precision(tmp_path, encoder):
    halved = {k: t.half() if t.is_floating_point() else t for k, t in encoder.state_dict().items()}
    torch.save(halved, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    loaded, _ = encoders.load_checkpoint(tmp_path / "old.pt")
    assert loaded.get_parameter("conv1.weight").dtype == torch.float32


def test_unexpected_names_are_reported(tmp_path, encoder):
    content = upstream(encoder)
    content["model_state_dict"] |= {"encoder.fc.bias": torch.zeros(2), "decoder.w": torch.zeros(1)}
    torch.save(content, tmp_path / "a.pt")
    assert encoders.load_checkpoint(tmp_path / "a.pt")[1]["unexpected"] == ["decoder.w", "fc.bias"]


def test_missing_names_are_an_error_that_names_some(tmp_path, encoder):
    content = upstream(encoder)
    del content["model_state_dict"]["encoder.layer3.1.bn2.weight"]
    torch.save(content, tmp_path / "a.pt")
    with pytest.raises(InputError, match=r"a\.pt.*layer3\.1\.bn2\.weight"):
        encoders.load_checkpoint(tmp_path / "a.pt")


def test_wrong_shapes_and_values_are_refused(tmp_path, encoder):
    for name, value, words in (
        ("layer1.0.conv1.weight", torch.zeros(3), "shape"),
        ("conv1.weight", torch.zeros(2, 1, 7, 7), "shape"),
        ("conv1.weight", torch.empty(1, 1, 7, 7, 7).expand(10**6, 1, 7, 7, 7), "shape"),
        ("bn1.weight", torch.full((2,), torch.nan), "NaN"),
        ("bn1.weight", torch.zeros(2, dtype=torch.int64), "int64"),
    ):
        torch.save({**encoder.state_dict(), name: value}, tmp_path / "a.pt")
        with pytest.raises(InputError, match=words):
            encoders.load_checkpoint(tmp_path / "a.pt")


_NO_ZIP = b"PK\5\6" + bytes(18)  # the end of a zip without entries


def broken_files(folder, encoder):
    good = torch_bytes(upstream(encoder))
    evil = torch_bytes({"model_state_dict": Evil()})
    yield "empty", b""
    yield "text", b"not a checkpoint at all\n" * 40
    yield "truncated", good[: len(good) // 2]
    yield "flipped", good[:3000] + bytes(200) + good[3200:]
    yield "code", evil
    yield "pickle", pickle.dumps({"model_state_dict": Evil()})
    yield "list", torch_bytes([1, 2, 3])
    yield "no weights", torch_bytes({"epoch": 3})
    yield "tar of text", tar_of(folder / "t", ("a.txt", b"hello")).read_bytes()
    yield "empty tar", tar_of(folder / "t").read_bytes()
    yield "tar of two", tar_of(folder / "t", ("a", good), ("b", good)).read_bytes()
    yield "tar of code", tar_of(folder / "t", ("a", evil)).read_bytes()
    yield "truncated tar", tar_of(folder / "t", ("a", good)).read_bytes()[: len(good) // 2]
    yield "a tar packed as xz", tar_of(folder / "t", ("a", good), mode="w:xz").read_bytes()
    yield "zip over several disks", good[:64] + struct.pack("<4sIQI", b"PK\6\7", 1, 0, 2) + _NO_ZIP
    yield "truncated gz", tar_of(folder / "t", ("a", good), mode="w:gz").read_bytes()[:300]


def test_broken_and_hostile_files_are_refused_in_one_sentence(tmp_path, encoder, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, content in broken_files(tmp_path, encoder):
        path = tmp_path / "bad.tar"
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"bad\.tar") as caught:
            encoders.load_checkpoint(path)
        assert "\n" not in str(caught.value), name
    assert not (tmp_path / "ran-code").exists()


def test_links_in_a_tar_are_never_followed(tmp_path, encoder):
    torch.save(upstream(encoder), tmp_path / "secret.pt")
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        link = tarfile.TarInfo("link.pt")
        link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path / "secret.pt")
        archive.addfile(link)
    with pytest.raises(InputError, match="0 torch files"):
        encoders.load_checkpoint(tmp_path / "a.tar")


def test_sizes_are_refused_before_anything_is_unpacked(tmp_path, encoder, monkeypatch):
    with zipfile.ZipFile(tmp_path / "bomb.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data/0", bytes(1 << 22))
    claim = tarfile.TarInfo("a.pt")
    claim.size = 1 << 40
    (tmp_path / "claim.tar").write_bytes(claim.tobuf() + bytes(1024))
    tar_of(tmp_path / "bomb.tar.gz", ("a.pt", bytes(1 << 22)), mode="w:gz")
    monkeypatch.setattr(checkpoint, "MAX_BYTES", 1 << 20)
    for name in ("bomb.pt", "claim.tar", "bomb.tar.gz"):
        with pytest.raises(InputError, match="refused"):
            encoders.load_checkpoint(tmp_path / name)


def test_encoder_folder_round_trip_and_damage(tmp_path, encoder):
    folder = encoders.save_encoder(tmp_path / "enc", encoder, "a test")
    loaded, info = encoders.load_checkpoint(folder)
    facts = json.loads((folder / "encoder.json").read_text(encoding="utf-8"))
    assert same(loaded, encoder)
    assert facts["sha256"] == info["sha256"] == encoders.digest(encoder)
    assert (facts["features"], facts["width"], info["source"]) == (16, TINY, "a test")
    with pytest.raises(InputError, match="exists"):
        encoders.save_encoder(folder, encoder, "again")
    weights = folder / "encoder.safetensors"
    raw = bytearray(weights.read_bytes())
    raw[-1] ^= 1
    weights.write_bytes(raw)
    with pytest.raises(InputError, match="SHA-256"):
        encoders.load_checkpoint(folder)
    (folder / "encoder.json").write_text("{")
    with pytest.raises(InputError, match="damaged"):
        encoders.load_checkpoint(folder)


def test_unwritable_places_are_an_input_error(tmp_path, encoder):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="cannot write"):
        encoders.save_encoder(tmp_path / "file" / "enc", encoder, "a test")


@pytest.mark.parametrize(
    ("name", "width", "patch"),
    [
        ("resnet18", TINY, None),
        ("resnet50", TINY, None),
        ("vit_tiny", 0.125, (8, 8, 8)),
        ("vit_base", 1 / 64, None),
    ],
)
def test_every_architecture_through_its_folder(tmp_path, name, width, patch):
    torch.manual_seed(0)
    encoder = encoders.build(name, width, patch)
    folder = encoders.save_encoder(tmp_path / "enc", encoder, "a test")
    loaded, info = encoders.load_checkpoint(folder)
    assert same(loaded, encoder)
    assert not loaded.training
    facts = json.loads((folder / "encoder.json").read_text(encoding="utf-8"))
    for found in (facts, info):
        assert (found["architecture"], found["width"]) == (name, width)
        assert found["features"] == encoders.feature_count(encoder)
        assert found["sha256"] == encoders.digest(encoder)
        if name.startswith("vit"):
            assert tuple(found["patch"]) == (patch or (15, 16, 16))
        else:
            assert "patch" not in found
    assert encoders.describe(loaded) == encoders.describe(encoder)


def test_resnet50_is_told_from_its_names(tmp_path):
    encoder = encoders.build("resnet50", TINY)
    torch.save(upstream(encoder), tmp_path / "a.pt")
    loaded, info = encoders.load_checkpoint(tmp_path / "a.pt")
    assert same(loaded, encoder)
    assert (info["architecture"], info["features"], info["unexpected"]) == ("resnet50", 64, [])


def test_other_networks_are_refused_in_a_sentence(tmp_path, encoder):
    deeper = {**encoder.state_dict(), "layer1.2.conv1.weight": torch.zeros(2, 2, 3, 3, 3)}
    transformer = encoders.build("vit_tiny", 0.125).state_dict()
    for state, words in (
        (deeper, "deeper residual network than resnet18"),
        (transformer, "how many heads"),
        ({"stem.weight": torch.zeros(2)}, "lacks the encoder's conv1.weight"),
    ):
        torch.save(state, tmp_path / "a.pt")
        with pytest.raises(InputError, match=words):
            encoders.load_checkpoint(tmp_path / "a.pt")


@pytest.mark.parametrize(
    "change",
    [{"width": 0.3}, {"width": "x"}, {"patch": [0, 1, 1]}, {"patch": [8, 8]}, {"patch": 8}],
)
def test_a_folder_with_impossible_facts_is_damaged(tmp_path, change):
    encoder = encoders.build("vit_tiny", 0.125)
    folder = encoders.save_encoder(tmp_path / "enc", encoder, "a test")
    facts = json.loads((folder / "encoder.json").read_text(encoding="utf-8"))
    (folder / "encoder.json").write_text(json.dumps(facts | change))
    with pytest.raises(InputError, match="damaged"):
        encoders.load_checkpoint(folder)


def test_a_folder_of_another_kind_or_shape_is_refused(tmp_path):
    encoder = encoders.build("vit_tiny", 0.125)
    folder = encoders.save_encoder(tmp_path / "enc", encoder, "a test")
    facts = json.loads((folder / "encoder.json").read_text(encoding="utf-8"))
    for change, words in (
        ({"architecture": "vit_huge"}, "this fmtool reads resnet10, resnet18, .*vit_tiny"),
        ({"architecture": "resnet18"}, "damaged"),
        ({"patch": [8, 8, 8]}, "shape"),
        ({"width": 0.25}, "shape"),
    ):
        (folder / "encoder.json").write_text(json.dumps(facts | change))
        with pytest.raises(InputError, match=words):
            encoders.load_checkpoint(folder)


def test_resnet18s_digest_has_not_changed():
    """Heads, caches and bundles refer to an encoder by it."""
    encoder = encoders.build(width=TINY)
    with torch.no_grad():
        for tensor in encoder.state_dict().values():
            tensor.fill_(1)
    assert encoders.digest(encoder) == DIGEST_OF_ONES


@pytest.mark.slow
def test_full_size_upstream_checkpoint(tmp_path):
    torch.manual_seed(0)
    encoder = encoders.build().eval()
    torch.save(upstream(encoder, "module."), tmp_path / "simclr_3d_brain_foundation.tar")
    loaded, info = encoders.load_checkpoint(tmp_path / "simclr_3d_brain_foundation.tar")
    assert same(loaded, encoder)
    assert (info["width"], info["features"]) == (1.0, 512)
    with torch.inference_mode():
        assert loaded(torch.zeros(1, 1, 16, 16, 16)).shape == (1, 512)


def test_absent_path_and_foreign_folder(tmp_path):
    for path in (tmp_path / "no.pt", tmp_path):
        with pytest.raises(InputError):
            encoders.load_checkpoint(path)


@pytest.mark.parametrize(
    "prefix",
    ["model.", "backbone.", "student.", "encoder_q.", "model.backbone.module.", "_orig_mod.",
     "_orig_mod.encoder.", "net.encoder._orig_mod.", "module.encoder_q.module.", "a.b.c."],
)  # fmt: skip
def test_a_unique_prefix_is_found_wherever_wrappers_stand(tmp_path, encoder, prefix):
    state = {f"{prefix}{n}": t for n, t in encoder.state_dict().items()}
    torch.save({"state_dict": state | {"head.weight": torch.zeros(2)}}, tmp_path / "a.ckpt")
    loaded, info = encoders.load_checkpoint(tmp_path / "a.ckpt")
    assert same(loaded, encoder)
    assert info["unexpected"] == ["head.weight"]


def test_the_projector_beside_a_prefixed_encoder_is_its_own(tmp_path, encoder):
    state = {f"model.encoder.{n}": t for n, t in encoder.state_dict().items()}
    state |= {f"model.{n}": t for n, t in PROJECTOR.items()}
    torch.save({"state_dict": state}, tmp_path / "a.ckpt")
    _, info = encoders.load_checkpoint(tmp_path / "a.ckpt")
    assert (info["projector"], info["unexpected"]) == (sorted(PROJECTOR), [])


def test_of_two_networks_one_must_be_named(tmp_path, encoder):
    other = encoders.fresh(width=TINY, seed=1)
    content = {"student": encoder.state_dict(), "teacher": other.state_dict(), "epoch": 3}
    torch.save(content, tmp_path / "dino.pth")
    with pytest.raises(InputError, match=r"2 residual networks, under student\., teacher\.; name"):
        encoders.load_checkpoint(tmp_path / "dino.pth")
    for prefix in ("teacher", "teacher."):
        loaded, info = encoders.load_checkpoint(tmp_path / "dino.pth", Told(prefix=prefix))
        assert same(loaded, other)
        assert info["epoch"] == 3
    with pytest.raises(InputError, match=r"no residual network under 'pupil'; there are 'student"):
        encoders.load_checkpoint(tmp_path / "dino.pth", Told(prefix="pupil"))


def test_what_weights_do_not_tell_is_said_taken_and_verified(tmp_path, encoder):
    """A stem of stride 2 has the very names and shapes of one of stride 1."""
    torch.save({"state_dict": encoder.state_dict()}, tmp_path / "a.pt")
    _, info = encoders.load_checkpoint(tmp_path / "a.pt")
    (said,) = info["remarks"]
    assert "first convolution has stride 1 and max pooling follows it" in said
    strided, info = encoders.load_checkpoint(tmp_path / "a.pt", Told(2, False))
    assert info["remarks"] == []
    assert info["layout"]["conv1_t_stride"] == [2, 2, 2]
    assert info["layout"]["no_max_pool"] is True

    volume = torch.randn(32, 32, 32)
    with torch.inference_mode():
        embedding = strided(volume[None, None])[0].numpy()
    reference = tmp_path / "reference.npz"
    np.savez(reference, volume=volume.numpy(), embedding=embedding)
    encoders.load_checkpoint(tmp_path / "a.pt", Told(2, False, reference=reference))
    for stride, pool in ((1, True), (2, True), (1, False)):
        with pytest.raises(InputError, match=r"% of its norm from that in .*stride"):
            encoders.load_checkpoint(tmp_path / "a.pt", Told(stride, pool, reference=reference))
    np.savez(reference, volume=volume.numpy())
    with pytest.raises(InputError, match=r"no \.npz with volume and embedding"):
        encoders.load_checkpoint(tmp_path / "a.pt", Told(2, False, reference=reference))
    saved = encoders.save_encoder(tmp_path / "enc", strided, "a test")
    with pytest.raises(UsageError, match="tells its own network"):
        encoders.load_checkpoint(saved, Told(1))
    assert encoders.load_checkpoint(saved)[1]["remarks"] == []


@pytest.mark.parametrize("shortcut", ["A", "B"])
def test_medicalnets_names_ask_for_the_stride_and_load_with_it(tmp_path, shortcut):
    from monai.networks.nets import resnet

    torch.manual_seed(0)
    network = resnet.resnet18(
        spatial_dims=3, n_input_channels=1, feed_forward=False, widen_factor=TINY,
        shortcut_type=shortcut, bias_downsample=False, conv1_t_stride=2,
    ).eval()  # fmt: skip
    state = {f"module.{n}": t for n, t in network.state_dict().items()}
    torch.save({"state_dict": state}, tmp_path / "resnet_18_23dataset.pth")
    with pytest.raises(InputError, match=r"MedicalNet's, whose .* --stem-stride \(2 for"):
        encoders.load_checkpoint(tmp_path / "resnet_18_23dataset.pth")
    loaded, _ = encoders.load_checkpoint(tmp_path / "resnet_18_23dataset.pth", Told(2))
    volume = torch.randn(1, 1, 32, 32, 32)
    with torch.inference_mode():
        assert torch.allclose(loaded(volume), network(volume), atol=1e-5)


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_a_hugging_face_folder(tmp_path, encoder, name):
    state = {f"model.{n}": t.contiguous() for n, t in encoder.state_dict().items()}
    if name.endswith("bin"):
        torch.save(state, tmp_path / name)
    else:
        safetensors.torch.save_file(state, tmp_path / name)
    (tmp_path / "config.json").write_text('{"model_type": "brain", "conv1_t_stride": 2}')
    loaded, info = encoders.load_checkpoint(tmp_path)
    assert torch.equal(loaded.conv1.weight, encoder.conv1.weight)
    assert (info["format"], info["layout"]["conv1_t_stride"]) == ("hugging face", [2, 2, 2])
    for text in ("{", '{"conv1_t_stride": "two"}'):
        (tmp_path / "config.json").write_text(text)
        with pytest.raises(InputError, match=r"config\.json cannot be used"):
            encoders.load_checkpoint(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / name).rename(tmp_path / "model-00001-of-00002.safetensors")
    with pytest.raises(InputError, match=r"holds no weights; fmtool reads model\.safetensors"):
        encoders.load_checkpoint(tmp_path)
    (tmp_path / "model.safetensors.index.json").write_text("{}")
    with pytest.raises(InputError, match="weights in several files"):
        encoders.load_checkpoint(tmp_path)


@pytest.mark.parametrize("zipped", [True, False])
def test_harmless_objects_are_named_with_the_way_out(tmp_path, encoder, zipped):
    content = {
        "state_dict": encoder.state_dict(),
        "hyper_parameters": argparse.Namespace(lr=1e-3),
    }
    torch.save(content, tmp_path / "last.ckpt", _use_new_zipfile_serialization=zipped)
    with pytest.raises(InputError) as caught:
        encoders.load_checkpoint(tmp_path / "last.ckpt")
    message = str(caught.value)
    assert "last.ckpt holds argparse.Namespace" in message
    assert 'torch.load(FILE, weights_only=False)["state_dict"]' in message
    assert message.isprintable()


@pytest.mark.parametrize(
    "name", ["vit.encoder.layer.0.attention.attention.query.weight", "blocks.0.attn.qkv.weight"]
)
def test_a_transformers_weights_are_pointed_to_the_routes_that_work(tmp_path, name):
    torch.save({name: torch.zeros(4, 4)}, tmp_path / "vit.pt")
    with pytest.raises(InputError, match=r"encoder's folder.*MONAI's ViT.*network_def"):
        encoders.load_checkpoint(tmp_path / "vit.pt")
