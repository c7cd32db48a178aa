"""The folders of ONNX Runtime's providers: named, listed, and removed when nothing uses them."""

from __future__ import annotations

import io
import os
import time

import pytest
from rich.console import Console

from runtime.engines import onnxruntime
from runtime.engines.cache import table as engine_table
from runtime.engines.cache.inventory import inventory
from runtime.engines.cache.prune import prune
from runtime.engines.onnxruntime import folder as provider_folder

HERE = {"rtx": "1.7.1", "tensorrt": "10.13.2"}


@pytest.fixture(autouse=True)
def _version(monkeypatch):
    monkeypatch.setattr(onnxruntime, "version", lambda: "1.24.1")


def put(cache, engine="onnxruntime-tensorrt", library="10.13.2", bundle="b1"):
    folder = provider_folder.claim(cache, bundle, engine, "float16", "sm89", library, "13.0")
    (folder / "deep").mkdir()
    (folder / "deep" / "engine").write_bytes(b"compiled")
    return folder


def cleared(cache, **options):
    told = []
    freed = prune(cache, HERE, lambda path, why: told.append((path, why)), **options)
    return freed, told


def test_two_versions_have_two_folders(tmp_path):
    assert put(tmp_path) != put(tmp_path, library="10.12.0")
    assert len(provider_folder.folders(tmp_path)) == 2


def test_it_is_listed_and_one_of_another_version_goes(tmp_path, monkeypatch):
    good = put(tmp_path)
    old = put(tmp_path, "onnxruntime-rtx", "1.6.0")
    found = {item.path: (item.state, item.reason, item.bytes) for item in inventory(tmp_path, HERE)}
    why = "compiled with TensorRT 1.6.0, 1.7.1 is installed"
    assert found == {good: ("ok", "", 8), old: ("stale", why, 8)}
    console = Console(file=io.StringIO(), width=250)
    console.print(engine_table.render(inventory(tmp_path, HERE)))
    assert "onnxruntime-tensorrt.float16.sm89.trt10.13.2.ort1.24.1" in console.file.getvalue()
    assert cleared(tmp_path) == (8, [(old, why)])
    assert good.exists()
    monkeypatch.setattr(onnxruntime, "version", lambda: "1.25.0")
    assert cleared(tmp_path) == (
        8,
        [(good, "compiled with ONNX Runtime 1.24.1, 1.25.0 is installed")],
    )
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_installed_speaks_against_nothing(tmp_path):
    folder = put(tmp_path)
    assert provider_folder.stale(folder, {"rtx": None, "tensorrt": None}) is None


def test_the_last_use_counts(tmp_path):
    folder, young = put(tmp_path), put(tmp_path, bundle="b2")
    then = time.time() - 40 * 86400
    os.utime(folder, (then, then))
    assert cleared(tmp_path, older_than=30)[1] == [(folder, "its bundle was not used for 40 days")]
    os.utime(young, (then, then))
    provider_folder.claim(
        tmp_path, "b2", "onnxruntime-tensorrt", "float16", "sm89", "10.13.2", "13.0"
    )
    assert cleared(tmp_path, older_than=30) == (0, [])
    assert cleared(tmp_path, everything=True)[1] == [(young, "removed with all others")]


def test_what_fmtool_did_not_name_stays(tmp_path):
    mine = tmp_path / "b1" / "onnxruntime-mine"
    mine.mkdir(parents=True)
    link = tmp_path / "b1" / "onnxruntime-rtx.float16.sm89.trt1.ort1.driver1"
    link.symlink_to(mine)
    assert cleared(tmp_path, everything=True) == (0, [])
    assert mine.exists()
    assert link.exists()
