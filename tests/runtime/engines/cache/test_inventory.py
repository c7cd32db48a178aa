"""What the cache holds, and what `prune` takes out of it and what it leaves."""

from __future__ import annotations

import io
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock
from rich.console import Console

from runtime.engines import cuda
from runtime.engines.cache import store
from runtime.engines.cache import table as engine_table
from runtime.engines.cache.ensure import lock_of
from runtime.engines.cache.inventory import inventory
from runtime.engines.cache.key import Key
from runtime.engines.cache.prune import prune

KEY = Key("d1g" * 8, "rtx", "1.7.1", "sm89", "float16", (1, 1, 1))
HERE = {"rtx": "1.7.1", "tensorrt": None}


@pytest.fixture(autouse=True)
def _no_gpu(monkeypatch):
    monkeypatch.setattr(cuda, "missing", lambda number=0: "no NVIDIA driver is installed")


def put(folder, key=KEY, data=b"engine"):
    return store.save(folder, key, data, {"name": "demo", "seconds": 1.0})


def cleared(folder, **options):
    told = []
    freed = prune(folder, HERE, lambda path, why: told.append((path, why)), **options)
    return freed, told


def test_states(tmp_path):
    good = put(tmp_path)
    old = put(tmp_path, replace(KEY, version="1.6.0", target="sm80"))
    cut = put(tmp_path, replace(KEY, target="sm86"))
    cut.write_bytes(b"eng")
    half = put(tmp_path, replace(KEY, target="sm120"))
    Path(f"{half}.json").unlink()
    unknown = put(tmp_path, replace(KEY, library="tensorrt", version="9"))
    found = {item.path: (item.state, item.reason) for item in inventory(tmp_path, HERE)}
    assert found == {
        good: ("ok", ""),
        old: ("stale", "built by TensorRT-RTX 1.6.0, 1.7.1 is installed"),
        cut: ("damaged", "truncated: 3 bytes, not 6"),
        half: ("damaged", "half-built: its build was interrupted"),
        unknown: ("ok", ""),  # TensorRT is not installed, so that nothing speaks against it
    }


def test_a_newer_driver_makes_stale_what_was_built_on_its_gpu(tmp_path, monkeypatch):
    put(tmp_path, replace(KEY, gpu="NVIDIA L4", driver="13.0"))
    put(tmp_path, replace(KEY, gpu="NVIDIA T4", driver="12.0"))  # it is elsewhere
    monkeypatch.setattr(cuda, "name", lambda number=0: ["NVIDIA L4", None][number])
    monkeypatch.setattr(cuda, "driver", lambda: "13.2")
    assert [(item.state, item.reason) for item in inventory(tmp_path, HERE)] == [
        ("stale", "built with the driver's CUDA 13.0, it is 13.2 now"), ("ok", ""),
    ]  # fmt: skip


def test_as_json_and_as_a_table(tmp_path):
    path = put(tmp_path)
    put(tmp_path, replace(KEY, target="sm80")).write_bytes(b"")
    bad, good = inventory(tmp_path, HERE)
    facts = good.to_dict()
    assert facts["name"] == "demo"
    assert (facts["bundle"], facts["batches"], facts["bytes"]) == (KEY.bundle, KEY.batches, 6)
    assert (facts["path"], facts["state"]) == (str(path), "ok")
    assert bad.to_dict()["bundle"] == KEY.bundle
    console = Console(file=io.StringIO(), width=200)
    console.print(engine_table.render([bad, good]))
    text = console.file.getvalue()
    assert "damaged: truncated: 0 bytes" in text
    for word in ("demo", "d1gd1gd1gd1g", "TensorRT-RTX 1.7.1", "sm89", "1,1,1", "just now"):
        assert word in text


def test_no_cache_at_all(tmp_path):
    assert inventory(tmp_path / "absent", HERE) == []
    assert cleared(tmp_path / "absent") == (0, [])


def test_prune_takes_the_damaged_the_stale_and_leftovers(tmp_path):
    good = put(tmp_path)
    stale = put(tmp_path, replace(KEY, version="1.6.0", target="sm80"))
    bad = put(tmp_path, replace(KEY, target="sm86"))
    bad.write_bytes(b"engina")
    scratch = good.with_name(".model.fp16.sm75.b1-1-1.rtx.01ab-1-2.0123abcd.tmp")
    scratch.write_bytes(b"half")
    beside = good.with_name(f".{good.name}.json.01ab-1-2.89abcdef.tmp")
    beside.write_bytes(b"{")
    freed, told = cleared(tmp_path)
    assert dict(told) == {
        stale: "built by TensorRT-RTX 1.6.0, 1.7.1 is installed",
        bad: "damaged: it does not match its SHA-256",
        good.with_name("model.fp16.sm75.b1-1-1.rtx"): "left by a build that was killed",
        good: "left by a build that was killed",
    }
    assert freed > 12
    left = {p.name for p in good.parent.iterdir() if p.suffix != ".lock"}
    assert left == {good.name, f"{good.name}.json"}
    assert cleared(tmp_path) == (0, [])


def test_prune_leaves_what_is_being_built(tmp_path):
    path = put(tmp_path)
    path.write_bytes(b"half")
    store.kernels_of(path).write_bytes(b"compiled")
    scratch = path.with_name(f".{path.name}.01ab-1-2.0123abcd.tmp")
    scratch.write_bytes(b"half")
    with FileLock(lock_of(path)):
        freed, told = cleared(tmp_path, everything=True)
    assert (freed, told) == (0, [(path, "left alone: a process is building it")])
    assert path.exists()
    assert scratch.exists()
    assert cleared(tmp_path)[0] > 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "name",
    ["notes.txt", "model.onnx", "model.rtx", "model.sm89.b1-1-1.rtx.bak", "x.b1-1-1.rtx", ".lock",
     ".model.sm89.b1-1-1.rtx.tmp"],
)  # fmt: skip
def test_prune_leaves_what_is_not_fmtools(tmp_path, name):
    path = put(tmp_path)
    mine = path.with_name(name)
    mine.write_text("mine")
    (tmp_path / f"{'0' * 64}.json").write_text("a self-test's stamp")
    cleared(tmp_path, everything=True)
    assert mine.read_text(encoding="utf-8") == "mine"
    assert not path.exists()
    assert len(list(tmp_path.iterdir())) == 2


def age(path, days):
    then = time.time() - days * 86400
    for file in (path, Path(f"{path}.json")):
        os.utime(file, (then, then))


def test_older_than_counts_the_last_use_of_any_engine_of_the_bundle(tmp_path):
    idle = put(tmp_path, replace(KEY, bundle="idle"))
    also = put(tmp_path, replace(KEY, bundle="idle", target="sm80"))
    old, young = put(tmp_path), put(tmp_path, replace(KEY, target="sm80"))
    for path, days in ((idle, 40), (also, 31), (old, 40), (young, 40)):
        age(path, days)
    store.load(tmp_path, replace(KEY, target="sm80"))  # used now
    assert cleared(tmp_path, older_than=50)[1] == []
    told = dict(cleared(tmp_path, older_than=30)[1])
    assert told.keys() == {idle, also}
    assert told[idle] == "its bundle was not used for 31 days"
    assert not idle.parent.exists()
    assert old.exists()
    assert young.exists()


def test_all_takes_the_measurements_too(tmp_path):
    put(tmp_path)
    (tmp_path / "timings.tensorrt.sm89").write_bytes(b"measured")
    freed, told = cleared(tmp_path, everything=True)
    assert len(told) == 2
    assert freed > 14
    assert list(tmp_path.iterdir()) == []
