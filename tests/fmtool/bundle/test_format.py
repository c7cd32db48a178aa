"""Which versions of a bundle's format are read, and what is filled in."""

import json

import pytest

from fmtool import bundle
from fmtool.bundle import format as bundle_format
from fmtool.bundle import write as bundle_write
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


def test_what_an_older_manifest_lacks_is_filled_in_and_the_rest_is_left():
    old = {"format": 1, "limits": ["adults"], "extra": 3}
    assert bundle_format.migrated(old) == {
        "format": 1,
        "limits": ["adults"],
        "extra": 3,
        "parity": {},
        "calibration": {},
        "demonstration": False,
    }
    assert old == {"format": 1, "limits": ["adults"], "extra": 3}


WHOLE = {
    "encoder": {"features": 4},
    "model": {},
    "strip": {"locate": "a.onnx", "segment": "b.onnx"},
    "self_test": {"outputs": {}, "tolerance": {}},
}


def toy(path, version):
    """A bundle without files, of a format, with a field that nobody knows."""
    manifest = {**WHOLE, "files": {}}
    path.mkdir()
    named = {"format": version, "name": "toy", "tasks": [], "template": "t", "later": 1}
    (path / "manifest.json").write_text(json.dumps({**named, **manifest}), encoding="utf-8")
    return path


def test_a_newer_minor_version_opens(tmp_path):
    opened = bundle.open(toy(tmp_path / "b", f"{MAJOR}.{MINOR + 7}.0"))
    assert opened.manifest["later"] == 1


def test_a_newer_major_version_is_refused_in_one_sentence(tmp_path):
    with pytest.raises(BundleError, match=r"format '2\.0\.0', and this fmtool reads 1\..*anew"):
        bundle.open(toy(tmp_path / "b", "2.0.0"))


def test_what_is_written_says_its_version(tmp_path):
    manifest = {"name": "b", "tasks": [], "template": "t", **WHOLE}
    written = bundle_write.write(tmp_path / "b.fmtool", manifest, {"t": b"t"})
    assert written.manifest["format"] == bundle_format.FORMAT
