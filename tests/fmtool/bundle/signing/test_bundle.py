"""Signed bundles: who requires a signature opens no other bundle, whoever else signed it."""

from __future__ import annotations

import shutil

import pytest

pytest.importorskip("cryptography", reason="the sign extra is absent")

from fmtool import bundle
from fmtool.bundle.signing import bundle as signature
from fmtool.bundle.signing import key_files
from fmtool.errors import BundleError


@pytest.fixture
def keys(tmp_path):
    for name in ("site", "other"):
        key_files.generate(tmp_path / name)
    return {name: key_files.read_private(tmp_path / name) for name in ("site", "other")}


@pytest.fixture
def made(tmp_path):
    return shutil.copytree(bundle.DEMO, tmp_path / "made.fmtool")


@pytest.fixture
def required(tmp_path, keys, monkeypatch):
    monkeypatch.setenv(key_files.TRUSTED, str(tmp_path / "site.pub"))


def test_a_signed_bundle_opens_as_a_folder_and_as_a_zip(made, keys, required, tmp_path):
    signature.sign(made / bundle.MANIFEST, keys["site"])
    with bundle.open(made) as opened:
        assert opened.name == "demo"
    packed = shutil.make_archive(str(tmp_path / "packed"), "zip", made.parent, made.name)
    with bundle.open(packed) as opened:
        assert opened.name == "demo"


def test_it_opens_where_none_is_required_too(made, keys, monkeypatch):
    monkeypatch.delenv(key_files.TRUSTED, raising=False)
    signature.sign(made / bundle.MANIFEST, keys["other"])
    bundle.open(made)


def test_an_unsigned_one_does_not_open_nor_does_the_demonstration(made, required):
    for path in (made, None):
        with pytest.raises(BundleError, match="is not signed, and a signature by"):
            bundle.open(path)


def test_nor_one_that_somebody_else_signed(made, keys, required):
    signature.sign(made / bundle.MANIFEST, keys["other"])
    with pytest.raises(BundleError, match="not trusted here") as caught:
        bundle.open(made)
    assert keys["other"].public.name in str(caught.value)


def test_nor_one_whose_signer_only_borrowed_the_name(made, keys, required):
    forged = type(keys["other"])(keys["site"].number, keys["other"].seed)
    signature.sign(made / bundle.MANIFEST, forged)
    with pytest.raises(BundleError, match="does not match its signature"):
        bundle.open(made)


def test_nor_one_that_was_changed_afterwards(made, keys, required):
    signature.sign(made / bundle.MANIFEST, keys["site"])
    manifest = made / bundle.MANIFEST
    manifest.write_bytes(manifest.read_bytes() + b"\n")
    with pytest.raises(BundleError, match="does not match its signature"):
        bundle.open(made)


def test_nor_one_with_another_file(made, keys, required):
    signature.sign(made / bundle.MANIFEST, keys["site"])
    (made / "model.onnx").write_bytes(b"another")
    with pytest.raises(BundleError, match="damaged"):
        bundle.open(made)


@pytest.mark.parametrize("text", [b"", b"\xff" * 100, b"untrusted comment: \n\n\n\n"])
def test_nor_one_whose_signature_is_none(made, required, text):
    (made / signature.SIGNATURE).write_bytes(text)
    with pytest.raises(BundleError, match="cannot be read as a signature"):
        bundle.open(made)


def test_nothing_of_an_unsigned_manifest_is_read(made, required):
    (made / bundle.MANIFEST).write_text("not json")
    with pytest.raises(BundleError, match="is not signed"):
        bundle.open(made)


def test_a_signature_is_replaced_whole(made, keys):
    first = signature.sign(made / bundle.MANIFEST, keys["other"]).read_text()
    assert signature.sign(made / bundle.MANIFEST, keys["site"]).read_text() != first
    assert not list(made.glob(".*"))
