"""A zipped bundle is unpacked whole, inside its folder, or not at all."""

import shutil
import zipfile

import pytest

from fmtool import bundle
from fmtool.bundle import zip as bundle_zip
from fmtool.bundle.signing import bundle as signature
from fmtool.bundle.signing import key_files
from fmtool.errors import BundleError


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
    monkeypatch.setattr(bundle_zip, "MAX_BYTES", 1 << 20)
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", b"0" * (2 << 20))
    with pytest.raises(BundleError, match="refused"):
        bundle.open(tmp_path / "bomb.zip")


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


def test_what_unpacks_to_many_times_its_size_is_refused(tmp_path):
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", b"{}")
        archive.writestr("model.onnx", bytes(40 << 20))
    with pytest.raises(BundleError, match="times its size"):
        bundle.open(path)


def test_the_signature_is_asked_for_before_the_rest_is_unpacked(toy, tmp_path, monkeypatch):
    pytest.importorskip("cryptography", reason="the sign extra is absent")
    key_files.generate(tmp_path / "key")
    monkeypatch.setenv(key_files.TRUSTED, str(tmp_path / "key.pub"))
    archive = shutil.make_archive(str(tmp_path / "packed"), "zip", toy.path.parent, toy.path.name)
    seen, unpack = [], bundle_zip.Zipped.unpack

    def watched(self, folder, names, sizes=None):
        top = unpack(self, folder, names, sizes)
        seen.extend(path.name for path in top.rglob("*") if path.is_file())
        return top

    monkeypatch.setattr(bundle_zip.Zipped, "unpack", watched)
    with pytest.raises(BundleError, match="not signed"):
        bundle.open(archive)
    assert set(seen) <= {"manifest.json", "manifest.sha256"}
    folder = tmp_path / "signed.fmtool"
    shutil.copytree(toy.path, folder)
    signature.sign(folder / "manifest.json", key_files.read_private(tmp_path / "key"))
    archive = shutil.make_archive(str(tmp_path / "signed"), "zip", folder)
    with bundle.open(archive) as opened:
        assert opened.digest == toy.digest


def test_only_what_the_manifest_lists_is_unpacked(toy, tmp_path):
    archive = shutil.make_archive(str(tmp_path / "packed"), "zip", toy.path)
    with zipfile.ZipFile(archive, "a") as more:
        more.writestr("planted.bin", b"x")
    with bundle.open(archive) as opened:
        assert not (opened.path / "planted.bin").exists()
