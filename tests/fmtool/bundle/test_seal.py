"""The manifest pins every file, and its seal pins the manifest."""

import hashlib
import subprocess

import pytest

from fmtool.bundle import seal
from fmtool.errors import BundleError


@pytest.fixture
def manifest(tmp_path):
    path = tmp_path / "manifest.json"
    path.write_bytes(b'{"value": 7.47}\n')
    (tmp_path / seal.FILE).write_bytes(seal.of(path.read_bytes(), path.name))
    return path


def test_it_is_what_sha256sum_reads(manifest):
    done = subprocess.run(["sha256sum", "-c", seal.FILE], cwd=manifest.parent, capture_output=True)
    assert done.returncode == 0
    digest = hashlib.sha256(manifest.read_bytes()).hexdigest()
    assert manifest.with_name(seal.FILE).read_text(encoding="utf-8").startswith(digest)


def test_a_wrong_figure_in_the_manifest_is_seen(manifest):
    seal.check(manifest, manifest.read_bytes())
    with pytest.raises(BundleError, match=r"manifest\.json and manifest\.sha256 do not match"):
        seal.check(manifest, b'{"value": 2.47}\n')


@pytest.mark.parametrize("change", [bytes.upper, lambda b: b[:-1], lambda b: b + b"\n"])
def test_a_changed_seal_is_seen(manifest, change):
    path = manifest.with_name(seal.FILE)
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(BundleError, match="do not match"):
        seal.check(manifest, manifest.read_bytes())


def test_a_bundle_of_before_has_none(manifest):
    manifest.with_name(seal.FILE).unlink()
    seal.check(manifest, b"anything")
