"""Whether a bundle still is what an export would make, whenever one was killed."""

from __future__ import annotations

import hashlib
import json
import shutil

import pytest

from export.parts.standing import Standing
from fmtool import bundle as bundles

INPUTS = {"encoder": "a", "batches": [1, 2]}


@pytest.fixture
def place(tmp_path):
    return tmp_path / "mine.fmtool", tmp_path / "runs" / "export.json"


def put(path, mark=""):
    """A bundle; another with another mark."""
    shutil.rmtree(path, ignore_errors=True)
    shutil.copytree(bundles.DEMO, path)
    manifest = json.loads((path / "manifest.json").read_bytes()) | {"name": f"demo{mark}"}
    raw = json.dumps(manifest).encode()
    (path / "manifest.json").write_bytes(raw)
    (path / "manifest.sha256").write_text(f"{hashlib.sha256(raw).hexdigest()}  manifest.json\n")
    return bundles.open(path)


def test_nothing_then_made_then_the_same(place):
    first = Standing(*place, INPUTS)
    assert (first.bundle, first.ours) == (None, False)
    first.begin()
    first.finish(put(place[0]))
    again = Standing(*place, INPUTS)
    assert again.bundle is not None
    other = Standing(*place, INPUTS | {"encoder": "b"})
    assert (other.bundle, other.ours) == (None, True)


def test_killed_before_the_bundle_and_after_it(place):
    Standing(*place, INPUTS).begin()
    assert Standing(*place, INPUTS).bundle is None
    old = put(place[0])
    assert Standing(*place, INPUTS).bundle is not None  # put, and killed before the record
    Standing(*place, INPUTS).finish(old)
    changed = INPUTS | {"encoder": "b"}
    Standing(*place, changed).begin()
    killed = Standing(*place, changed)
    assert (killed.bundle, killed.ours) == (None, True)  # the older one is still there
    put(place[0], "2")
    assert Standing(*place, changed).bundle is not None


@pytest.mark.parametrize("record", [None, "{", "[]", "{}", '{"inputs": 1}'])
def test_a_bundle_of_nobody_is_not_the_exports(place, record):
    put(place[0])
    if record is not None:
        place[1].parent.mkdir()
        place[1].write_text(record)
    found = Standing(*place, INPUTS)
    assert (found.bundle, found.ours) == (None, False)


def test_one_that_was_changed_since_is_not_the_exports_any_more(place):
    made = Standing(*place, INPUTS)
    made.begin()
    made.finish(put(place[0]))
    put(place[0], "2")
    found = Standing(*place, INPUTS)
    assert (found.bundle, found.ours) == (None, False)
    (place[0] / "model.onnx").write_bytes(b"damaged")
    found = Standing(*place, INPUTS)
    assert (found.bundle, found.ours) == (None, False)
