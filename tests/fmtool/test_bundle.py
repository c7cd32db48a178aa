"""A bundle opens whole or not at all, and is written whole or not at all."""

import json
import shutil
import zipfile

import pytest

from fmtool import bundle, seal, task
from fmtool.errors import BundleError

MANIFEST = {
    "name": "toy",
    "encoder": {"architecture": "resnet18", "width": 0.125, "features": 64},
    "tasks": [{**task.AGE.to_dict(), "evidence": {"metric": "MAE", "value": 5.0}}],
    "model": {"float32": "model.onnx"},
    "strip": {"locate": "a.onnx", "segment": "b.onnx"},
    "template": "template.nii.gz",
    "self_test": {"outputs": {}, "tolerance": {}},
}
FILES = {"model.onnx": b"m" * 100, "template.nii.gz": b"t", "LICENSES/x.txt": b"free"}


@pytest.fixture
def toy(tmp_path):
    return bundle.write(tmp_path / "toy.fmtool", MANIFEST, dict(FILES))


def test_what_is_written_opens(toy):
    opened = bundle.open(toy.path)
    assert opened.digest == toy.digest
    assert opened.tasks == {"age": task.AGE}
    assert opened.evidence("age")["value"] == 5.0
    assert opened.file("LICENSES/x.txt").read_bytes() == b"free"
    assert opened.model() == toy.path / "model.onnx"


def test_any_changed_byte_is_found(toy):
    for name, content in FILES.items():
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


def test_a_zip_opens_and_is_cleaned_up(toy, tmp_path):
    archive = shutil.make_archive(str(tmp_path / "packed"), "zip", toy.path.parent, toy.path.name)
    with bundle.open(archive) as opened:
        assert opened.digest == toy.digest
        inside = opened.path
        assert inside.is_dir()
    assert not inside.exists()


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a/../../evil"])
def test_a_zip_cannot_write_outside(tmp_path, name):
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
        archive.writestr(name, b"x")
    with pytest.raises(BundleError, match="may not name the path"):
        bundle.open(tmp_path / "bad.zip")
    assert not (tmp_path.parent / "evil").exists()


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(bundle, "MAX_BYTES", 1 << 20)
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", b"0" * (2 << 20))
    with pytest.raises(BundleError, match="refused"):
        bundle.open(tmp_path / "bomb.zip")


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


def test_writing_leaves_others_alone(toy, tmp_path):
    with pytest.raises(BundleError, match="exists"):
        bundle.write(toy.path, MANIFEST, dict(FILES))
    other = tmp_path / "other.fmtool"
    other.mkdir()
    (other / "precious.txt").write_text("keep")
    with pytest.raises(BundleError, match="left as it is"):
        bundle.write(other, MANIFEST, dict(FILES), overwrite=True)
    with pytest.raises(BundleError, match=r"ends in \.fmtool"):
        bundle.write(tmp_path / "toy", MANIFEST, dict(FILES))
    assert (other / "precious.txt").read_text(encoding="utf-8") == "keep"


def test_a_failed_write_leaves_the_old_bundle_and_no_trace(toy, tmp_path):
    with pytest.raises(BundleError, match=r"cannot write .*absent.* nothing was written"):
        bundle.write(toy.path, MANIFEST, {"model.onnx": tmp_path / "absent"}, overwrite=True)
    assert bundle.open(toy.path).digest == toy.digest
    assert [p.name for p in tmp_path.iterdir()] == ["toy.fmtool"]


def test_overwriting_replaces(toy):
    anew = bundle.write(toy.path, MANIFEST, {**FILES, "model.onnx": b"new"}, overwrite=True)
    assert anew.digest != toy.digest
    assert bundle.open(toy.path).model().read_bytes() == b"new"


def test_a_precision_the_bundle_lacks_says_how_to_get_it(toy):
    with pytest.raises(BundleError, match="fmtool export --fp16"):
        toy.model("float16")


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_that_does_not_unpack(toy, tmp_path, method):
    path = tmp_path / "packed.zip"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.write(toy.path / "manifest.json", "toy.fmtool/manifest.json")
    packed = bytearray(path.read_bytes())
    packed[60:100] = b"\xff" * 40
    path.write_bytes(packed)
    with pytest.raises(BundleError, match=r"packed\.zip"):
        bundle.open(path)


@pytest.mark.parametrize("names", [["a", "a/b"], ["x" * 300], ["a\x1b[31m"], [""]])
def test_a_zip_with_names_that_cannot_be(tmp_path, names):
    path = tmp_path / "packed.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(zipfile.ZipInfo(name), b"x")
    with pytest.raises(BundleError):
        bundle.open(path)
