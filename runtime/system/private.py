"""What a service or a batch keeps is its owner's alone, whatever the umask and the folder were."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fmtool.errors import InputError

_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_WRITE = stat.S_IWGRP | stat.S_IWOTH


@contextmanager
def unshared() -> Iterator[None]:
    """Have this process, and those that it starts, make files of mode 0600 and folders of 0700."""
    before = os.umask(_OTHERS)
    try:
        yield
    finally:
        os.umask(before)


def own(folder: Path, marker: str, shared: bool = False) -> bool:
    """Make a folder, or close one that is there to all but its owner; whether it was open.

    Args:
        folder: whose entries are closed too.
        marker: a file by which a folder of ours is known.
        shared: whether one with other things in it is left as it is, if no other may write there.

    Raises:
        InputError: if it cannot be made, is another user's, or is open and has other things in it.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        facts = folder.stat()
        if not hasattr(os, "geteuid"):  # where modes say nothing
            return False
        if facts.st_uid != os.geteuid():
            raise InputError(
                f"{folder} belongs to another user, who could read and change what is kept in it; "
                "name a folder of your own"
            )
        names = os.listdir(folder)
        if not facts.st_mode & _OTHERS:
            return False
        if facts.st_mode & stat.S_ISVTX or (_others_things(names) and marker not in names):
            if shared and not facts.st_mode & _WRITE:
                return False
            raise InputError(
                f"{folder} is open to other users and holds other things; name a folder of its "
                f"own, or close it: chmod 700 {folder}"
            )
        os.chmod(folder, 0o700)
        for name in names:
            _close(folder / name)
        if folder.stat().st_mode & _OTHERS:
            raise InputError(
                f"{folder} cannot be closed to other users, for its file system keeps no modes; "
                "name a folder on another"
            )
    except OSError as error:
        why = error.strerror or error
        raise InputError(f"cannot use {folder} ({why}); name another folder") from None
    return True


def _others_things(names: list[str]) -> bool:
    return any(not name.startswith(".") and name != "lost+found" for name in names)


def _close(entry: Path) -> None:
    facts = entry.lstat()
    if facts.st_uid == os.geteuid() and not stat.S_ISLNK(facts.st_mode):
        os.chmod(entry, stat.S_IMODE(facts.st_mode) & ~_OTHERS)
