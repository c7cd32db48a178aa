"""Checkpoints by torch, in a tar, and safetensors: `training.encoders.load_checkpoint`."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import safetensors.torch
import torch

from benchmarks.fuzz.entry import Entry
from training import encoders
from training.encoders.checkpoint import read_tensors

_WIDTH = 1 / 64


def _trial(data: bytes, folder: Path) -> None:
    file = folder / ("x.safetensors" if data[8:9] == b"{" else "x.tar")
    file.write_bytes(data)
    tensors, _ = read_tensors(file)
    if sum(t.numel() for t in tensors.values()) < 1 << 20:
        encoders.load_checkpoint(file)


def _seeds() -> list[bytes]:
    torch.manual_seed(0)
    state = encoders.build("resnet10", _WIDTH).state_dict()
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
    plain = safetensors.torch.save(dict(state))
    return [*(b.getvalue() for b in (new, old, packed, small)), plain, safetensors.torch.save(few)]


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

ENTRY = Entry(_seeds, _trial, _CODE + _HEADERS)
