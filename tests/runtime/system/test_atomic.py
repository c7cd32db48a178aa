"""Files appear whole or not at all, and a failure says what to do."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fmtool.errors import InputError
from runtime.system import atomic


def test_replaces_an_older_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    atomic.write_bytes(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new"
    assert [file.name for file in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize(
    ("code", "remedy"),
    [(errno.ENOSPC, "free some space"), (errno.EROFS, "that you may write to")],
)
def test_a_failed_write_leaves_the_old_file_and_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, remedy: str
) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(code, os.strerror(code))

    (tmp_path / "a").write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(InputError, match=remedy):
        atomic.write_bytes(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["a"]


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot write .*nowhere.*folder that exists"):
        atomic.write_bytes(tmp_path / "nowhere" / "a", b"")


def test_a_long_name(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 250)
    atomic.write_bytes(path, b"new")
    assert path.read_bytes() == b"new"


KILLED = """
import os, signal, sys
from pathlib import Path
from runtime.system import atomic
os.fsync = lambda descriptor: os.kill(os.getpid(), signal.SIGKILL)
atomic.write_bytes(Path(sys.argv[1]), b"new")
"""


def test_what_a_killed_process_left_is_swept(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    root = Path(__file__).parents[3]
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "a")], cwd=root, check=False)
    (left,) = tmp_path.glob(".*")
    atomic.sweep(tmp_path)
    assert not left.exists()
    assert (tmp_path / "a").read_bytes() == b"old"


def test_what_is_being_written_stays_when_another_sweeps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: atomic.sweep(tmp_path))
    atomic.write_bytes(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new"


def test_what_another_machine_is_writing_stays_for_a_while(tmp_path: Path) -> None:
    theirs = tmp_path / ".a.00000000-1-1.00000000.tmp"
    theirs.touch()
    atomic.sweep(tmp_path)
    assert theirs.exists()
    os.utime(theirs, (0, 0))
    atomic.sweep(tmp_path)
    assert not theirs.exists()


@pytest.mark.parametrize("name", [".a.tmp", ".a.00000000.tmp", "a.00000000-1-1.00000000.tmp"])
def test_others_files_are_not_swept(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    os.utime(tmp_path / name, (0, 0))
    atomic.sweep(tmp_path)
    assert (tmp_path / name).exists()
