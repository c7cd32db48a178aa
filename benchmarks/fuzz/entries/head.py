"""A head's file: `training.evidence.head.load`."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.fuzz.entries import made_bundle
from benchmarks.fuzz.entry import Entry
from fmtool.task import AGE, SEX
from training.evidence import head

_HEAD = {
    **{"format": 1, "fmtool": "0.1.0", "encoder_sha256": "0" * 64, "sample": {"n": 28}},
    **{"evidence": {"metric": "MAE", "value": 7.0}, "bias": 1.0, "weight": [0.0, 1.0, 2.0, 3.0]},
}


def _trial(data: bytes, folder: Path) -> None:
    file = folder / "head.json"
    file.write_bytes(data)
    found = head.load(file)
    found.task.parse_label("1")
    found.save(folder / "again.json")


def _seeds() -> list[bytes]:
    trust = made_bundle.trust()
    return [
        json.dumps({**_HEAD, "task": task.to_dict(), "trust": trust[task.name]}).encode()
        for task in (AGE, SEX)
    ]


ENTRY = Entry(_seeds, _trial, structured="json")
