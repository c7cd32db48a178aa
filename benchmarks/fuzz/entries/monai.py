"""MONAI bundles, as a configuration beside good weights, and as a zip of both."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import torch

from benchmarks.fuzz.entry import Entry
from training import encoders
from training.encoders.monai.bundle import CONFIGS, METADATA, WEIGHTS

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


def _weights() -> bytes:
    torch.manual_seed(0)
    out = io.BytesIO()
    torch.save(encoders.build("resnet10", 1 / 64).state_dict(), out)
    return out.getvalue()


_GOOD = _weights()


def _trial(data: bytes, folder: Path) -> None:
    if data.startswith(b"PK"):
        place = folder / "bundle.zip"
        place.write_bytes(data)
    else:
        place = folder / "bundle"
        for name in (CONFIGS[0], WEIGHTS):
            (place / name).parent.mkdir(parents=True)
        (place / CONFIGS[0]).write_bytes(data)
        (place / WEIGHTS).write_bytes(_GOOD)
    encoders.load_checkpoint(place)


def _seeds() -> list[bytes]:
    found = [json.dumps(_config(network)).encode() for network in (_RESNET, _VIT)]
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", method) as archive:
            archive.writestr(f"b/{CONFIGS[0]}", found[0])
            archive.writestr(f"b/{METADATA}", json.dumps({"name": "b", "version": "1"}))
            archive.writestr(f"b/{WEIGHTS}", _GOOD)
        found.append(out.getvalue())
    return found


ENTRY = Entry(_seeds, _trial, (b"@", b"$", b"%", b"::", b"#", b'"@network_def"', b"_target_"))
