"""A bundle that is sent: what arrives is verified, and fetched anew when damaged."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest

from fmtool import bundle as bundles
from fmtool.bundle.signing import bundle as signature
from fmtool.bundle.signing import key_files
from fmtool.errors import BundleError
from runtime.batch.ray.ship import pack, unpacked


@pytest.fixture(scope="module")
def sent():
    with bundles.open() as bundle:
        return bundle.digest, pack(bundle)


def test_it_is_fetched_once_however_many_ask(sent, tmp_path):
    digest, data = sent
    fetched = []

    def fetch():
        fetched.append(1)
        return data

    with ThreadPoolExecutor(3) as threads:
        found = list(threads.map(lambda _: unpacked(digest, fetch, tmp_path), range(3)))
    assert len(fetched) == 1
    assert {bundle.digest for bundle in found} == {digest}
    assert {bundle.path for bundle in found} == {tmp_path / f"{digest}.fmtool"}
    with bundles.open() as original:
        assert list(found[0].tasks) == list(original.tasks)


def test_a_damaged_one_is_fetched_anew(sent, tmp_path):
    digest, data = sent
    path = unpacked(digest, lambda: data, tmp_path).path
    (path / "template.nii.gz").write_bytes(b"short")
    assert unpacked(digest, lambda: data, tmp_path).digest == digest
    assert (path / "template.nii.gz").stat().st_size > 5
    assert [entry.name for entry in tmp_path.iterdir() if not entry.name.startswith(".")] == [
        path.name
    ]


@pytest.mark.parametrize("data", [b"no zip", b""])
def test_what_is_no_bundle_is_refused(tmp_path, data):
    with pytest.raises(BundleError):
        unpacked("b" * 64, lambda: data, tmp_path)
    assert not list(tmp_path.glob("*.fmtool"))


def test_another_bundle_is_refused(sent, tmp_path):
    with pytest.raises(BundleError, match="not bbbb"):
        unpacked("b" * 64, lambda: sent[1], tmp_path)
    assert not list(tmp_path.glob("*.fmtool"))


def test_a_signed_bundle_arrives_signed(tmp_path, monkeypatch):
    pytest.importorskip("cryptography", reason="the sign extra is absent")
    folder = tmp_path / "signed.fmtool"
    shutil.copytree(bundles.DEMO, folder)
    key_files.generate(tmp_path / "key")
    signature.sign(folder / "manifest.json", key_files.read_private(tmp_path / "key"))
    monkeypatch.setenv(key_files.TRUSTED, str(tmp_path / "key.pub"))
    with bundles.open(folder) as signed:
        data = pack(signed)
        there = unpacked(signed.digest, lambda: data, tmp_path / "cache")
        assert there.digest == signed.digest
