"""Which versions of a bundle's format are read, and what is filled in."""

import copy
import json
from pathlib import Path

import pytest

from fmtool import bundle
from fmtool.bundle import format as bundle_format
from fmtool.bundle import write as bundle_write
from fmtool.bundle.manifest import Manifest
from fmtool.errors import BundleError

MAJOR, MINOR, PATCH = map(int, bundle_format.FORMAT.split("."))


@pytest.mark.parametrize(
    ("found", "numbers"),
    [(1, (1, 0, 0)), ("1.2.3", (1, 2, 3)), ("1.2", None), (" 1.2.3", None), (True, None),
     (None, None), (1.0, None), ("1.2.3-rc1", None), ("1.99999.0", None)],
)  # fmt: skip
def test_a_version_is_three_numbers_or_the_old_one(found, numbers):
    assert bundle_format.version(found) == numbers


def test_a_major_version_is_a_border_and_a_minor_one_is_not():
    assert bundle_format.is_read(1)
    assert bundle_format.is_read(f"{MAJOR}.{MINOR + 1}.{PATCH}")
    assert not bundle_format.is_read(f"{MAJOR + 1}.0.0")
    assert not bundle_format.is_read("newest")


WHOLE = {
    "encoder": {"features": 4},
    "model": {},
    "strip": {"locate": "a.onnx", "segment": "b.onnx"},
    "self_test": {"outputs": {}, "tolerance": {}},
}


def test_what_an_older_manifest_lacks_is_filled_in_and_the_rest_is_left():
    old = {"format": 1, "name": "b", "tasks": [], "template": "t", **WHOLE, "files": {}}
    old |= {"limits": ["adults"], "extra": 3}
    before = copy.deepcopy(old)
    read = Manifest.from_dict(old)
    assert (read.parity, read.calibration, read.demonstration) == ({}, {}, False)
    assert (read.trust, read.robustness) == (None, None)
    assert read.to_dict().items() >= {"format": 1, "limits": ["adults"], "extra": 3}.items()
    assert "trust" not in read.to_dict()
    assert old == before


@pytest.mark.parametrize(
    "path", sorted((Path(__file__).parents[2] / "cli" / "formats").glob("*.json")), ids=str
)
def test_each_earlier_manifest_is_written_as_it_was_read(path):
    old = json.loads(path.read_text(encoding="utf-8")) | {"files": {}}
    told = json.loads(json.dumps(Manifest.from_dict(old).to_dict()))
    assert told == {"parity": {}, **old}


def test_fields_that_nobody_knows_are_kept_where_they_stand(toy):
    data = toy.manifest.to_dict()
    places = (data, data["encoder"], data["tasks"][0], data["strip"], data["self_test"])
    for place in (*places, data["files"]["model.onnx"]):
        place["more"] = place["later"] = "x"
    assert Manifest.from_dict(data).to_dict() == data


def older(path, version):
    """A bundle without files, of a format, with a field that nobody knows."""
    manifest = {**WHOLE, "files": {}}
    path.mkdir()
    named = {"format": version, "name": "toy", "tasks": [], "template": "t", "later": 1}
    (path / "manifest.json").write_text(json.dumps({**named, **manifest}), encoding="utf-8")
    return path


def test_a_newer_minor_version_opens(tmp_path):
    opened = bundle.open(older(tmp_path / "b", f"{MAJOR}.{MINOR + 7}.0"))
    assert opened.manifest.more == {"later": 1}


def test_a_newer_major_version_is_refused_in_one_sentence(tmp_path):
    with pytest.raises(BundleError, match=r"format '2\.0\.0', and this fmtool reads 1\..*anew"):
        bundle.open(older(tmp_path / "b", "2.0.0"))


def test_what_is_written_says_its_version(tmp_path):
    manifest = {"format": 1, "name": "b", "tasks": [], "template": "t", **WHOLE, "files": {}}
    read = Manifest.from_dict(manifest)
    written = bundle_write.write(tmp_path / "b.fmtool", read, {"t": b"t"})
    assert written.manifest.format == bundle_format.FORMAT
