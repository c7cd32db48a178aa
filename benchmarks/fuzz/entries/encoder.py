"""An encoder's folder, whose weights are whole: `training.encoders.load_checkpoint`."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from benchmarks.fuzz.entry import Entry
from training import encoders
from training.encoders.encoder_folder import FACTS, WEIGHTS

_KINDS = (("resnet10", 1 / 64, None), ("vit_tiny", 1 / 32, (30, 32, 32)))


def _made(kind: tuple[str, float, tuple[int, int, int] | None]) -> tuple[bytes, bytes]:
    torch.manual_seed(0)
    with TemporaryDirectory() as scratch:
        folder = Path(scratch) / "encoder"
        encoders.save_encoder(folder, encoders.build(*kind), "made")
        return (folder / FACTS).read_bytes(), (folder / WEIGHTS).read_bytes()


_MADE = [_made(kind) for kind in _KINDS if kind[0] == "resnet10"]


def _trial(data: bytes, folder: Path) -> None:
    for number, (_, weights) in enumerate(_MADE):
        place = folder / str(number)
        place.mkdir()
        (place / FACTS).write_bytes(data)
        (place / WEIGHTS).write_bytes(weights)
        encoders.load_checkpoint(place)


def _seeds() -> list[bytes]:
    whole = json.loads(_MADE[0][0])
    layout = {"conv1_t_size": [3, 3, 3], "conv1_t_stride": [2, 2, 2], "shortcut_type": "A"}
    learned = {"img_size": [30, 32, 32], "patch_size": [15, 16, 16], "hidden_size": 12}
    more = {**learned, "mlp_dim": 20, "num_layers": 1, "num_heads": 3}
    return [
        _MADE[0][0],
        json.dumps({**whole, "layout": layout}).encode(),
        json.dumps(
            {**whole, "architecture": "vit", "patch": [15, 16, 16], "layout": more}
        ).encode(),
        json.dumps({**whole, "architecture": "vit_tiny", "patch": [15, 16, 16]}).encode(),
    ]


ENTRY = Entry(_seeds, _trial, structured="json")
