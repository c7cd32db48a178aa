"""Encoders, by `training.encoders.load_checkpoint`, and heads, by `training.evidence.head.load`.

A folder whose weights are whole; checkpoints by torch, in a tar, and safetensors; MONAI bundles, as
a configuration beside good weights, and as a zip of both.
"""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import safetensors.torch
import torch
from torch import nn

from benchmarks.fuzz.entries import made_bundle
from benchmarks.fuzz.entry import Entry, zipped
from fmtool.task import AGE, SEX
from training import encoders
from training.encoders.checkpoint import read_tensors
from training.encoders.densenet import DenseNet
from training.encoders.encoder_folder import FACTS, WEIGHTS
from training.encoders.layout import Dense, Plain
from training.encoders.monai import bundle as monai_bundle
from training.encoders.sfcn import SFCN
from training.evidence import head

_ARCHITECTURE, _WIDTH = "resnet10", 1 / 64
_CONFIG = monai_bundle.CONFIGS[0]
_DENSE = Dense(init_features=2, growth_rate=1, block_config=(1, 1), bn_size=1)


def _encoder() -> nn.Module:
    torch.manual_seed(0)
    return encoders.build(_ARCHITECTURE, _WIDTH)


def _saved() -> tuple[bytes, bytes]:
    with TemporaryDirectory() as scratch:
        folder = Path(scratch) / "encoder"
        encoders.save_encoder(folder, _encoder(), "made")
        return (folder / FACTS).read_bytes(), (folder / WEIGHTS).read_bytes()


_GOOD_FACTS, _GOOD_WEIGHTS = _saved()


def _folder_trial(data: bytes, folder: Path) -> None:
    (folder / FACTS).write_bytes(data)
    (folder / WEIGHTS).write_bytes(_GOOD_WEIGHTS)
    encoders.load_checkpoint(folder)


def _folder_seeds() -> list[bytes]:
    whole = json.loads(_GOOD_FACTS)
    layout = {"conv1_t_size": [3, 3, 3], "conv1_t_stride": [2, 2, 2], "shortcut_type": "A"}
    learned = {"img_size": [30, 32, 32], "patch_size": [15, 16, 16], "hidden_size": 12}
    more = {**learned, "mlp_dim": 20, "num_layers": 1, "num_heads": 3}
    return [
        _GOOD_FACTS,
        json.dumps({**whole, "layout": layout}).encode(),
        json.dumps(
            {**whole, "architecture": "vit", "patch": [15, 16, 16], "layout": more}
        ).encode(),
        json.dumps({**whole, "architecture": "vit_tiny", "patch": [15, 16, 16]}).encode(),
    ]


FOLDER = Entry(_folder_seeds, _folder_trial, structured="json")


def _checkpoint_trial(data: bytes, folder: Path) -> None:
    file = folder / ("x.safetensors" if data[8:9] == b"{" else "x.tar")
    file.write_bytes(data)
    tensors, _ = read_tensors(file)
    if sum(t.numel() for t in tensors.values()) < 1 << 20:
        encoders.load_checkpoint(file)


def _checkpoint_seeds() -> list[bytes]:
    state = _encoder().state_dict()
    content = {"model_state_dict": {f"encoder.{n}": t for n, t in state.items()}, "epoch": 3}
    new, old, packed = io.BytesIO(), io.BytesIO(), io.BytesIO()
    torch.save(content, new)
    torch.save(content, old, _use_new_zipfile_serialization=False)
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        info = tarfile.TarInfo("folder/checkpoint.pt")
        info.size = len(old.getvalue())
        archive.addfile(info, io.BytesIO(old.getvalue()))
    few = {"conv1.weight": state["conv1.weight"], "bn1.bias": state["bn1.bias"]}
    small = io.BytesIO()
    torch.save(few, small, _use_new_zipfile_serialization=False)
    kept = (state, few, *(other.state_dict() for other in (DenseNet(_DENSE), SFCN(Plain((1, 2))))))
    plain = [safetensors.torch.save(dict(each)) for each in kept]
    return [*(b.getvalue() for b in (new, old, packed, small)), *plain]


_CODE = (
    b"cos\nsystem\n(S'true'\ntR.",
    b"c__builtin__\neval\n",
    b"\x80\x02",
    b"\x93",
    b"R",
    b"b",
    b"0",
)
_HEADERS = (b'"dtype":"F64"', b'"shape":[4294967296]', b'"data_offsets":[0,18446744073709551615]')

CHECKPOINT = Entry(_checkpoint_seeds, _checkpoint_trial, _CODE + _HEADERS)


_RESNET = {
    **{"_target_": "monai.networks.nets.resnet10", "spatial_dims": 3, "n_input_channels": 1},
    **{"num_classes": 2, "widen_factor": 1 / 64, "bias_downsample": False},
    "conv1_t_stride": "@strides",
}
_VIT = {
    **{"_target_": "ViT", "in_channels": 1, "img_size": [30, 32, 32], "patch_size": [15, 16, 16]},
    **{"hidden_size": 12, "mlp_dim": 20, "num_layers": 1, "num_heads": 3},
}


def _config(network: dict[str, Any]) -> dict[str, Any]:
    return {"imports": ["$import os"], "strides": [2, 2, 2], "x": {"y": 1}, "network_def": network}


def _state() -> bytes:
    out = io.BytesIO()
    torch.save(_encoder().state_dict(), out)
    return out.getvalue()


_GOOD_STATE = _state()


def _monai_trial(data: bytes, folder: Path) -> None:
    if data.startswith(b"PK"):
        place = folder / "bundle.zip"
        place.write_bytes(data)
    else:
        place = folder / "bundle"
        for name, content in ((_CONFIG, data), (monai_bundle.WEIGHTS, _GOOD_STATE)):
            (place / name).parent.mkdir(parents=True)
            (place / name).write_bytes(content)
    encoders.load_checkpoint(place)


def _monai_seeds() -> list[bytes]:
    found = [json.dumps(_config(network)).encode() for network in (_RESNET, _VIT)]
    about = json.dumps({"name": "b", "version": "1"}).encode()
    parts = {_CONFIG: found[0], monai_bundle.METADATA: about, monai_bundle.WEIGHTS: _GOOD_STATE}
    return found + zipped({f"b/{name}": content for name, content in parts.items()})


_SIGNS = (b"@", b"$", b"%", b"::", b"#", b'"@network_def"', b"_target_")

MONAI = Entry(_monai_seeds, _monai_trial, _SIGNS)


_HEAD_FACTS = {
    **{"format": 1, "fmtool": "0.1.0", "encoder_sha256": "0" * 64, "sample": {"n": 28}},
    **{"evidence": {"metric": "MAE", "value": 7.0}, "bias": 1.0, "weight": [0.0, 1.0, 2.0, 3.0]},
}


def _head_trial(data: bytes, folder: Path) -> None:
    file = folder / "head.json"
    file.write_bytes(data)
    found = head.load(file)
    found.task.parse_label("1")
    found.save(folder / "again.json")


def _head_seeds() -> list[bytes]:
    trust = made_bundle.trust()
    return [
        json.dumps({**_HEAD_FACTS, "task": task.to_dict(), "trust": trust[task.name]}).encode()
        for task in (AGE, SEX)
    ]


HEAD = Entry(_head_seeds, _head_trial, structured="json")
