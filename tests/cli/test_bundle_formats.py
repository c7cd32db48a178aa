"""A bundle of every earlier format predicts what the same weights predict today.

`formats/VERSION.json` is a manifest as fmtool wrote it then, without what belongs to its weights:
the files and the self-test's outputs, which are the demonstration bundle's here.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fmtool import bundle
from fmtool.bundle import format as bundle_format

FORMATS = sorted((Path(__file__).parent / "formats").glob("*.json"))


def grafted(manifest, folder):
    """The demonstration bundle under an older manifest."""
    today = json.loads((bundle.DEMO / bundle.MANIFEST).read_text(encoding="utf-8"))
    manifest["files"] = {
        name: facts
        for name, facts in today["files"].items()
        if name != today.get("trust") or "trust" in manifest
    }
    for key in {"features", "cells"} & manifest["encoder"].keys():  # as the weights have them
        manifest["encoder"][key] = today["encoder"][key]
    manifest["self_test"]["outputs"] = today["self_test"]["outputs"]
    for name in manifest["files"]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to(bundle.DEMO / name)
    (folder / bundle.MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    return folder


def values(said):
    """The predicted numbers; the intervals beside them need a calibrated head."""
    return {name: answer["value"] for name, answer in said[0]["values"].items()}


@pytest.fixture(scope="module")
def today(fmtool, prepared_head):
    """What the demonstration bundle says of the head."""
    return json.loads(fmtool("predict", prepared_head, "--json").stdout)


def test_there_is_one_manifest_of_each_earlier_format():
    minor = int(bundle_format.FORMAT.split(".")[1])
    assert [path.stem for path in FORMATS] == [f"1.{n}.0" for n in range(minor)]


@pytest.mark.parametrize(
    "path",
    [FORMATS[0], *(pytest.param(path, marks=pytest.mark.slow) for path in FORMATS[1:])],
    ids=lambda path: path.stem,
)
def test_an_older_bundle_predicts_as_before(fmtool, prepared_head, tmp_path, today, path):
    manifest = json.loads(path.read_text(encoding="utf-8"))
    old = grafted(manifest, tmp_path)
    done = fmtool("predict", prepared_head, "--bundle", old, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert values(found) == values(today)
    assert found[0]["embedding"] == today[0]["embedding"]
    assert set(bundle.open(old).manifest.to_dict()) >= {
        "parity",
        "calibration",
        "demonstration",
        "limits",
    }
    assert fmtool("bundle", "show", old).returncode == 0
