"""Where caches go, for users with a home and without."""

from __future__ import annotations

import os
import tempfile

import pytest

from fmtool.environment import caches
from fmtool.errors import CapabilityError


@pytest.fixture
def where(tmp_path, monkeypatch):
    """A home, a folder for temporary files, and nothing else that is known."""
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    return tmp_path


def test_it_is_the_users_cache_folder(where, monkeypatch):
    assert caches.folder("x") == where / "home" / ".cache" / "fmtool" / "x"
    monkeypatch.setenv("XDG_CACHE_HOME", str(where / "named"))
    assert caches.folder("x") == where / "named" / "fmtool" / "x"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert caches.folder("x").is_relative_to(where / "home")
    assert list(where.glob("home/*")) == []


def test_without_a_home_it_is_ours_alone_among_the_temporary_files(where, monkeypatch):
    (where / "file").touch()
    monkeypatch.setenv("HOME", str(where / "file"))
    found = caches.folder("x")
    assert found == where / "tmp" / f"fmtool-{os.getuid()}" / "x"
    assert found.parent.stat().st_mode & 0o777 == 0o700


def test_a_cache_that_can_only_be_read_is_read(where, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert caches.folder("x").is_relative_to(where / "tmp")
    (where / "home" / ".cache" / "fmtool" / "x").mkdir(parents=True)
    assert caches.folder("x").is_relative_to(where / "home")


@pytest.mark.parametrize("kind", ["link", "file"])
def test_what_lies_there_of_others_is_not_used(where, kind):
    place = where / "tmp" / f"fmtool-{os.getuid()}"
    if kind == "link":
        place.symlink_to(where / "home")
    else:
        place.touch()
    with pytest.raises(CapabilityError, match=r"remove it|TMPDIR"):
        caches.private()


def test_no_folder_for_temporary_files_is_said(where, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(where / "absent"))
    with pytest.raises(CapabilityError, match="TMPDIR"):
        caches.private()
