"""Bundles that are refused, each in a sentence, and from which nothing ever runs."""

from __future__ import annotations

import json
import os
import shutil
import zipfile

import pytest
import torch

from fmtool.errors import InputError
from training import encoders
from training.encoders.monai import bundle as monai_bundle

pytestmark = pytest.mark.usefixtures("one_thread")

EVIL = "$open('canary', 'w')"


class Pickled:
    """Runs a command where it is unpickled."""

    def __reduce__(self):
        return os.system, ("touch canary",)


@pytest.fixture(autouse=True)
def canary(tmp_path, monkeypatch):
    """Fails a test in which anything of a bundle ran."""
    monkeypatch.chdir(tmp_path)
    yield
    assert not (tmp_path / "canary").exists()


def refused(path, words):
    with pytest.raises(InputError, match=words) as caught:
        encoders.load_checkpoint(path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"spatial_dims": EVIL}, r"network_def\.spatial_dims is an expression"),
        ({"conv1_t_size": [7, 7, EVIL]}, r"network_def\.conv1_t_size\.2 is an expression"),
        ({"spatial_dims": "@evil"}, "evil is an expression"),
        ({"spatial_dims": "%evil"}, "is an expression"),
        ({"spatial_dims": {"_target_": "os.system", "command": "touch canary"}}, "object to build"),
        ({"spatial_dims": "@object"}, "object is an object to build .'os.system'"),
        ({"_target_": "os.system", "command": "touch canary"}, "'os.system' is not among"),
        ({"_target_": "os.path.resnet18"}, "is not among the networks"),
        ({"_target_": EVIL}, "_target_ is an expression"),
        ({"_target_": "@object"}, "object to build"),
        ({"_requires_": EVIL}, "_requires_ is an expression"),
        ({"_disabled_": True}, "argument _disabled_ is not known"),
        ({"spatial_dims": "@round"}, "refers in circles"),
        ({"spatial_dims": "@many"}, "refers in circles, or to too much"),
        ({"spatial_dims": "@absent::3"}, "'@absent::3', which is not there"),
        ({"spatial_dims": 2}, "its spatial_dims is 2; only 3"),
        ({"n_input_channels": 4}, "its n_input_channels is 4; only 1"),
        ({"n_input_channels": True}, "its n_input_channels is True"),
        ({"act": "leakyrelu"}, "its act is 'leakyrelu'; only 'relu'"),
        ({"norm": "instance"}, "its norm is 'instance'; only 'batch'"),
        ({"conv1_t_size": 700}, "conv1_t_size 700 is not a whole number from 1 to 15"),
        ({"conv1_t_stride": [2, 2]}, "conv1_t_stride .* three sides"),
        ({"shortcut_type": "C"}, "shortcut_type 'C'"),
        ({"widen_factor": float("nan")}, "widen_factor nan"),
        ({"widen_factor": 0.33}, "encoder width 0.33 is not possible"),
        ({"widen_factor": 1e9}, "widen_factor"),
        ({"dilation": 2}, "argument dilation is not known"),
        ({"_target_": "monai.networks.nets.SegResNet"}, "SegResNet' is not among .* ViTAutoEnc"),
        ({"_target_": "UNet"}, "'UNet' is not among"),
        ({"_target_": "SwinUNETR"}, "'SwinUNETR' is not among"),
    ],
)
def test_definitions(made, tmp_path, change, words):
    network, definition = made.resnet()
    more = {
        "evil": EVIL, "object": {"_target_": "os.system", "command": "touch canary"},
        "round": ["@round"], "many": ["@more"] * 200, "more": ["@one"] * 200, "one": 1,
    }  # fmt: skip
    made.write(tmp_path / "a", definition | change, network.state_dict(), **more)
    refused(tmp_path / "a", words)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"in_channels": 2}, "its in_channels is 2"),
        ({"spatial_dims": 2}, "its spatial_dims is 2"),
        ({"patch_size": 64}, "patch_size 64 is not a whole number from 1 to 32"),
        ({"img_size": 2}, "img_size is smaller than patch_size"),
        ({"img_size": "big"}, "img_size 'big'"),
        ({"img_size": 1024, "patch_size": 8}, "holds 2097152 patches"),
        ({"num_heads": 5}, "no multiple of num_heads"),
        ({"hidden_size": 10**9}, "hidden_size"),
        ({"img_size": 96}, r"have shape \(1, 180, 12\); .* make them \(1, 27, 12\)"),
        ({"classification": True}, "lacks 1 of .*class_token"),
        ({"qkv_bias": True}, "lacks 2 of .*qkv.bias"),
    ],
)
def test_transformers(made, tmp_path, change, words):
    state, definition = made.named_vit
    made.write(tmp_path / "a", definition | change, state)
    refused(tmp_path / "a", words)


def test_definitions_of_no_network(made, tmp_path):
    for index, (definition, words) in enumerate(
        [
            (EVIL, "network_def is an expression"),
            ("resnet18", "no _target_"),
            (["resnet18"], "no _target_"),
            ({"spatial_dims": 3}, "no _target_"),
            ("@object", "'os.system' is not among"),
        ]
    ):
        folder = tmp_path / str(index)
        made.write(folder, definition, {}, object={"_target_": "os.system", "command": "x"})
        refused(folder, words)


def test_pickles_and_programs(made, tmp_path):
    _, definition = made.resnet()
    folder = made.write(tmp_path / "a", definition, {"state_dict": Pickled()})
    refused(folder, "holds code, which fmtool does not run")
    torch.jit.script(torch.nn.Linear(2, 2)).save(str(folder / "models" / "model.ts"))
    shutil.copy(folder / "models" / "model.ts", folder / "models" / "model.pt")
    refused(folder, "TorchScript")
    (folder / "models" / "model.pt").unlink()
    refused(folder, r"only models/model.ts, a TorchScript program, which fmtool does not run")
    (folder / "models" / "model.ts").unlink()
    refused(folder, "holds no weights; fmtool needs models/model.pt")


def test_configurations_that_are_not(made, tmp_path):
    network, definition = made.resnet()
    folder = made.write(tmp_path / "a", definition, network.state_dict())
    place = folder / "configs" / "inference.json"
    for text, words in (
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[1]", "no named entries"),
        (" " * (1 << 20) + "{}", "larger than 1 MiB"),
        ('{"network": 1}', "no network_def in configs/inference.json or"),
    ):
        place.write_text(text)
        refused(folder, words)
    nested = json.dumps({"network_def": definition}).replace('"widen_factor"', '"x": [[]], "y"')
    place.write_text(nested.replace("[[]]", "[" * 200 + "]" * 200))
    refused(folder, "in circles, or to too much")


def test_zips(made, tmp_path, monkeypatch):
    network, definition = made.resnet()
    made.write(tmp_path / "one", definition, network.state_dict())
    shutil.make_archive(str(tmp_path / "a"), "zip", tmp_path, "one")
    whole = (tmp_path / "a.zip").read_bytes()

    monkeypatch.setattr(monai_bundle, "MAX_BYTES", 1000)
    refused(tmp_path / "a.zip", "is larger than")
    monkeypatch.undo()
    os.chdir(tmp_path)

    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        start = archive.getinfo("one/models/model.pt").header_offset
    damaged = bytearray(whole)
    damaged[start + 200 : start + 4000] = bytes(3800)
    (tmp_path / "b.zip").write_bytes(damaged)
    refused(tmp_path / "b.zip", "is damaged")

    (tmp_path / "c.zip").write_bytes(whole)
    with zipfile.ZipFile(tmp_path / "c.zip", "a") as archive:
        archive.writestr("two/configs/train.json", "{}")
    refused(tmp_path / "c.zip", "holds 2 MONAI bundles")

    monkeypatch.setattr(monai_bundle, "_MAX_MEMBERS", 2)
    refused(tmp_path / "a.zip", "more than 2 members")


def test_a_zip_whose_names_are_no_text(tmp_path):
    path = tmp_path / "bundle.zip"
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("configs/inference.json\u00e9", "{}")
    path.write_bytes(path.read_bytes().replace("\u00e9".encode(), b"\xff\xfe"))
    with pytest.raises(InputError):
        encoders.load_checkpoint(path)
