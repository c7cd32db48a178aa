"""A zipped bundle is unpacked whole, inside its folder, or not at all."""

import shutil
import zipfile

import pytest

from fmtool import bundle
from fmtool.bundle import zip as bundle_zip
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
