"""What is kept is the owner's alone: whatever the umask, and whatever the folder was before."""

from __future__ import annotations

import os
import stat

import pytest

from fmtool.errors import InputError
from runtime.system.private import own, unshared

MARKER = "ledger.sqlite"


@pytest.fixture(autouse=True)
def wide():
    before = os.umask(0o000)
    yield
    os.umask(before)


def modes(folder):
    return {p.name: stat.S_IMODE(p.lstat().st_mode) for p in (folder, *folder.rglob("*"))}


def test_what_is_written_is_the_owners_and_the_umask_comes_back(tmp_path):
    with unshared():
        (tmp_path / "a").mkdir()
        (tmp_path / "a" / "b").touch()
    assert modes(tmp_path / "a") == {"a": 0o700, "b": 0o600}
    (tmp_path / "c").touch()
    assert modes(tmp_path)["c"] == 0o666


def test_a_new_folder_is_closed(tmp_path):
    assert not own(tmp_path / "x" / "y", MARKER)
    assert modes(tmp_path / "x" / "y") == {"y": 0o700}


def test_a_folder_of_ours_that_was_open_is_closed_with_what_is_in_it(tmp_path):
    place = tmp_path / "place"
    (place / "answers").mkdir(parents=True)
    (place / MARKER).touch()
    (place / "link").symlink_to(tmp_path)
    assert own(place, MARKER)
    found = modes(place)
    assert (found["place"], found["answers"], found[MARKER]) == (0o700, 0o700, 0o600)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700  # what a link points to is as it was
    assert not own(place, MARKER)


@pytest.mark.parametrize("mode", [0o1777, 0o755, 0o770])
def test_a_folder_with_other_things_is_never_closed(tmp_path, mode):
    place = tmp_path / "place"
    place.mkdir()
    (place / "homework.txt").touch()
    place.chmod(mode)
    with pytest.raises(InputError, match="holds other things"):
        own(place, MARKER)
    assert stat.S_IMODE(place.stat().st_mode) == mode
    if mode == 0o755:
        assert not own(place, MARKER, shared=True)
    else:
        with pytest.raises(InputError, match="chmod 700"):
            own(place, MARKER, shared=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to make a folder of another user")
def test_a_folder_of_another_user_is_refused(tmp_path):
    place = tmp_path / "place"
    place.mkdir()
    os.chown(place, 12345, 12345)
    with pytest.raises(InputError, match="belongs to another user"):
        own(place, MARKER)
