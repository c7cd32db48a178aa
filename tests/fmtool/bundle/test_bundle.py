"""A bundle opens whole or not at all."""

import json

import pytest

from fmtool import bundle, task
from fmtool.bundle import seal
from fmtool.errors import BundleError


def test_what_is_written_opens(toy):
    opened = bundle.open(toy.path)
    assert opened.digest == toy.digest
    assert opened.tasks == {"age": task.AGE}
    assert opened.evidence("age")["value"] == 5.0
    assert opened.file("LICENSES/x.txt").read_bytes() == b"free"
    assert opened.model() == toy.path / "model.onnx"


def test_any_changed_byte_is_found(toy, contents):
    for name, content in contents[1].items():
        changed = bytearray(content)
        changed[len(changed) // 2] ^= 1
        (toy.path / name).write_bytes(changed)
        with pytest.raises(BundleError, match=rf"{name} does not match its SHA-256"):
            bundle.open(toy.path)
        (toy.path / name).write_bytes(content)
    bundle.open(toy.path)


def test_a_shorter_and_a_missing_file_are_found(toy):
    (toy.path / "model.onnx").write_bytes(b"m" * 99)
    with pytest.raises(BundleError, match="has 99 bytes, not 100"):
        bundle.open(toy.path)
    (toy.path / "model.onnx").unlink()
    with pytest.raises(BundleError, match=r"model\.onnx is missing"):
        bundle.open(toy.path)


def test_a_manifest_cannot_name_a_path_outside(toy):
    path = toy.path / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    manifest["files"]["../model.onnx"] = manifest["files"].pop("model.onnx")
    path.write_text(json.dumps(manifest))
    (toy.path / seal.FILE).unlink()
    with pytest.raises(BundleError, match="may not name the path"):
        bundle.open(toy.path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("not json", "not JSON"),
        ("[]", "bundle format None"),
        ('{"format": 99}', "bundle format 99, and this fmtool reads 1"),
        ('{"format": 1}', "lacks name, encoder"),
    ],
)
def test_damaged_manifests(tmp_path, content, said):
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(BundleError, match=said):
        bundle.open(tmp_path)


def test_what_is_not_a_bundle(tmp_path):
    with pytest.raises(BundleError, match="does not exist"):
        bundle.open(tmp_path / "none.fmtool")
    with pytest.raises(BundleError, match=r"holds no manifest\.json"):
        bundle.open(tmp_path)
    (tmp_path / "text.txt").write_text("hello")
    with pytest.raises(BundleError, match="neither a bundle's folder nor a zip"):
        bundle.open(tmp_path / "text.txt")


def test_a_precision_the_bundle_lacks_says_how_to_get_it(toy):
    with pytest.raises(BundleError, match="fmtool export --fp16"):
        toy.model("float16")
