"""Key files: for their owner alone, whole or not there, never replaced."""

from __future__ import annotations

import os
import stat

import pytest

pytest.importorskip("cryptography", reason="the sign extra is absent")

from fmtool.bundle.signing import ed25519, key_files
from fmtool.errors import CapabilityError, InputError


@pytest.fixture
def key(tmp_path):
    file = tmp_path / "site.key"
    key_files.generate(file)
    return file


def test_a_new_pair(key, tmp_path):
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    public = key_files.read_public(tmp_path / "site.key.pub")
    assert key_files.read_private(key).public == public
    assert sorted(f.name for f in tmp_path.iterdir()) == ["site.key", "site.key.pub"]


def test_the_mode_does_not_depend_on_the_umask(tmp_path):
    old = os.umask(0)
    try:
        key_files.generate(tmp_path / "k")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "k").stat().st_mode) == 0o600


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o620, 0o601])
def test_a_private_key_that_others_can_use_is_refused(key, mode):
    key.chmod(mode)
    with pytest.raises(InputError, match="open to others"):
        key_files.read_private(key)


@pytest.mark.parametrize("there", ["site.key", "site.key.pub"])
def test_nothing_is_replaced_and_nothing_half_made(tmp_path, there):
    (tmp_path / there).write_text("mine")
    with pytest.raises(InputError, match="exists and is left as it is"):
        key_files.generate(tmp_path / "site.key")
    assert [f.read_text() for f in tmp_path.iterdir()] == ["mine"]


def test_a_folder_that_cannot_be_written(tmp_path):
    with pytest.raises(InputError, match="cannot write"):
        key_files.generate(tmp_path / "none" / "site.key")


@pytest.mark.parametrize("call", [1, 2])
def test_a_disk_that_fills_up_leaves_neither_file(tmp_path, monkeypatch, call):
    calls = []

    def full(*args):
        calls.append(args)
        if len(calls) == call:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match="No space"):
        key_files.generate(tmp_path / "site.key")
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_key(key, tmp_path):
    (tmp_path / "site.key.pub").chmod(0o600)
    with pytest.raises(InputError, match="cannot be used as a private key"):
        key_files.read_private(tmp_path / "site.key.pub")
    with pytest.raises(InputError, match="cannot be used as a public key"):
        key_files.read_public(key)
    with pytest.raises(InputError, match="cannot be read"):
        key_files.read_public(tmp_path / "none")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError):
        key_files.read_public(tmp_path / "pipe")


def test_the_trusted_keys(key, tmp_path, monkeypatch):
    public = key_files.read_public(tmp_path / "site.key.pub")
    monkeypatch.delenv(key_files.TRUSTED, raising=False)
    assert key_files.trusted() is None
    for place in (tmp_path / "site.key.pub", tmp_path):
        monkeypatch.setenv(key_files.TRUSTED, str(place))
        assert key_files.trusted() == [public]
    (tmp_path / "empty").mkdir()
    for place in ("", str(tmp_path / "empty"), str(tmp_path / "none")):
        monkeypatch.setenv(key_files.TRUSTED, place)
        with pytest.raises(InputError):
            key_files.trusted()


def test_without_the_package(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "cryptography", None)
    with pytest.raises(CapabilityError, match=r"fmtool\[sign\]"):
        ed25519.public_of(bytes(32))
