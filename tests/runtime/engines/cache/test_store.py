"""The engine cache: names, and files that are there whole or not at all."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from fmtool.errors import InputError
from runtime.engines.cache import store
from runtime.system import atomic

KEY = store.Key("d1g", "rtx", "1.7.1", "sm89", "float16", (1, 4, 8))


def test_names_tell_the_engines_apart():
    assert KEY.name == "model.fp16.sm89.b1-4-8.rtx"
    plain = store.Key("d1g", "tensorrt", "10.16", "sm90", "float32", (1, 1, 1))
    assert plain.name == "model.sm90.b1-1-1.plan"


def test_the_json_pins_the_engine(tmp_path):
    path = store.save(tmp_path / "cache", KEY, b"engine", {"seconds": 0.5})
    assert path == tmp_path / "cache" / "d1g" / KEY.name
    assert path.read_bytes() == b"engine"
    content = json.loads(Path(f"{path}.json").read_text(encoding="utf-8"))
    assert content == {
        "key": {
            "bundle": "d1g", "library": "rtx", "version": "1.7.1", "target": "sm89",
            "precision": "float16", "batches": [1, 4, 8], "gpu": None, "driver": None,
            "hardware_compatible": False, "version_compatible": False,
        },
        "bytes": 6,
        "sha256": hashlib.sha256(b"engine").hexdigest(),
        "seconds": 0.5,
    }  # fmt: skip
    assert sorted(p.name for p in path.parent.iterdir()) == [KEY.name, f"{KEY.name}.json"]


def test_an_interruption_between_the_two_files_shows(tmp_path, monkeypatch):
    path = store.save(tmp_path, KEY, b"old", {})
    write = atomic.write_bytes

    def stop(target, data):
        if target.suffix == ".json":
            raise KeyboardInterrupt
        write(target, data)

    monkeypatch.setattr(atomic, "write_bytes", stop)
    with pytest.raises(KeyboardInterrupt):
        store.save(tmp_path, KEY, b"new", {})
    pinned = json.loads(Path(f"{path}.json").read_text(encoding="utf-8"))["sha256"]
    assert hashlib.sha256(path.read_bytes()).hexdigest() != pinned


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot make the engine cache"):
        store.save(tmp_path / "file", KEY, b"engine", {})
