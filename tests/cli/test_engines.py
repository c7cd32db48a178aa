"""`fmtool engines`: what it prints, where, and its exit codes."""

from __future__ import annotations

import json
import sys

import pytest
from typer.testing import CliRunner

from fmtool import bundle, cli
from fmtool.cli.engines import app
from fmtool.errors import CapabilityError, UsageError
from runtime.engines.cache import store
from runtime.engines.cache.key import Key
from runtime.engines.trt.bindings import LIBRARIES, load


@pytest.fixture
def engines(tmp_path):
    def run(verb, *words):
        words = (verb, *words, "--engines", tmp_path / "cache")
        return CliRunner().invoke(app, list(map(str, words)))

    return run


@pytest.fixture
def without(monkeypatch):
    """Neither library is installed."""
    for library in LIBRARIES.values():
        for name in library.modules:
            monkeypatch.setitem(sys.modules, name, None)


def put(tmp_path, **change):
    key = Key(**{
        "bundle": "d1g", "library": "rtx", "version": "1.0", "target": "sm89",
        "precision": "float32", "batches": (1, 1, 1), **change,
    })  # fmt: skip
    return store.save(tmp_path / "cache", key, b"engine", {"name": "demo", "seconds": 1.0})


def test_it_is_a_verb_of_fmtool():
    assert "engines" in {group.name for group in cli.app.registered_groups}


def test_an_empty_cache(engines):
    assert engines("list").stdout == ""
    assert "no engines in" in engines("list").stderr
    assert json.loads(engines("list", "--json").stdout) == []


def test_list_and_prune(engines, without, tmp_path):
    path = put(tmp_path)
    assert "demo" in engines("list").stdout
    (item,) = json.loads(engines("list", "--json").stdout)
    assert (item["path"], item["state"], item["target"]) == (str(path), "ok", "sm89")
    assert engines("prune").stdout == ""
    path.write_bytes(b"")
    done = engines("prune")
    assert done.stdout == f"{path}  (truncated: 0 bytes, not 6)\n"
    assert "MB freed" in done.stderr
    assert not path.exists()


def test_prune_all(engines, tmp_path):
    path = put(tmp_path)
    assert str(path) in engines("prune", "--all").stdout
    assert not path.exists()


@pytest.mark.parametrize(
    ("words", "error", "said"),
    [
        (("--rtx", "--tensorrt"), UsageError, "not both"),
        (("--batch", "2,1,4"), UsageError, "smallest,usual,largest"),
        (("--rtx", "--target", "sm89"), CapabilityError, r"pip install 'fmtool\[rtx\]'"),
        (("--target", "sm89"), CapabilityError, r"pip install 'fmtool\[rtx\]'"),
        (("--tensorrt",), CapabilityError, r"pip install 'fmtool\[tensorrt\]'"),
        (("--rtx", "--hardware-compatible"), UsageError, "name each architecture"),
    ],
)
def test_what_cannot_be_built(engines, without, tmp_path, words, error, said):
    done = engines("build", *words)
    with pytest.raises(error, match=said):
        raise done.exception
    assert not (tmp_path / "cache").exists()


@pytest.mark.rtx
def test_build_twice(engines, tmp_path):
    try:
        load("rtx")
    except CapabilityError as error:
        pytest.skip(str(error))
    first = engines("build", "--rtx", "--target", "sm89", "--precision", "float16")
    assert first.exit_code == 0, first.output
    path = tmp_path / "cache" / bundle.open().digest / "model.fp16.sm89.b1-1-1.rtx"
    assert str(path) in first.stdout
    assert first.stderr == "Building the TensorRT-RTX engine for sm89\n"
    made = path.stat().st_ino
    again = engines("build", "--target", "sm89")
    assert (again.stdout, again.stderr, path.stat().st_ino) == (first.stdout, "", made)
    (item,) = json.loads(engines("list", "--json").stdout)
    assert (item["name"], item["state"]) == (bundle.open().name, "ok")
