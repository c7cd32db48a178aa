"""A bundle's manifest by a hostile maker, who has every digest right: opened and used."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.fuzz.entries import made_bundle
from benchmarks.fuzz.entries.used_bundle import open_and_use
from benchmarks.fuzz.entry import Entry
from fmtool.bundle import MANIFEST

_TRUST = json.dumps(made_bundle.trust()).encode()


def _trial(data: bytes, folder: Path) -> None:
    made = made_bundle.write(folder, made_bundle.manifest(), _TRUST)
    whole = json.loads((made / MANIFEST).read_bytes())
    try:
        told = json.loads(data)
    except (ValueError, RecursionError):
        told = None
    if isinstance(told, dict) and told.get("files") == {}:
        text = json.dumps({**told, "files": whole["files"]}).encode()
    else:
        text = data
    (made / MANIFEST).write_bytes(text)
    open_and_use(made)


def _seeds() -> list[bytes]:
    whole = made_bundle.manifest()
    some = {"model.onnx": {"sha256": "0" * 64, "bytes": 8}}
    return [json.dumps(whole).encode(), json.dumps({**whole, "files": some}).encode()]


ENTRY = Entry(_seeds, _trial, structured="json")
