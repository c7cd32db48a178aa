"""What services have of POSIX systems alone; elsewhere they are refused before they begin."""

from __future__ import annotations

import os
import platform
import select
import shutil
import socket
import stat
from pathlib import Path

from fmtool.errors import CapabilityError
from fmtool.files import open_regular

_NEEDED = (
    (os, "O_DIRECTORY"),
    (os, "O_NOFOLLOW"),
    (os, "geteuid"),
    (select, "poll"),
)


def needed() -> None:
    """Refuse to run a service where the system lacks what its promises rest on.

    Raises:
        CapabilityError: naming the system.
    """
    if any(not hasattr(module, name) for module, name in _NEEDED):
        raise CapabilityError(
            f"services need a POSIX system, and {platform.system() or 'this one'} is none; run "
            "the service on Linux or in its container; `fmtool predict` answers scans here"
        )


def sync(folder: Path) -> None:
    """Have the names in a folder survive a loss of power, as fsync has a file's bytes."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def owned(item: Path) -> bool:
    """Whether an item and all in it is this user's."""
    me = os.geteuid()
    if item.lstat().st_uid != me:
        return False
    inside = (
        os.lstat(os.path.join(place, name)).st_uid == me
        for place, names, files in os.walk(item)
        for name in (*names, *files)
    )
    return all(inside)


def copy(item: Path, target: Path, depth: int) -> None:
    """Copy a file or a folder as it is opened, following no link, whatever becomes of its names.

    Links, pipes, sockets and devices in it are left, and what lies more than `depth` folders deep.
    """
    parent = os.open(item.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        _copy_of(parent, item.name, target, depth)
    finally:
        os.close(parent)


def _copy_of(parent: int, name: str, target: Path, depth: int) -> None:
    if not stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
        with open_regular(name, os.O_NOFOLLOW, parent) as stream, target.open("xb") as out:
            shutil.copyfileobj(stream, out)
            facts = os.fstat(stream.fileno())
            os.utime(out.fileno(), ns=(facts.st_atime_ns, facts.st_mtime_ns))
        return
    handle = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
    try:
        target.mkdir(mode=0o700)
        for entry in os.listdir(handle):
            mode = os.stat(entry, dir_fd=handle, follow_symlinks=False).st_mode
            if stat.S_ISREG(mode) or (stat.S_ISDIR(mode) and depth):
                _copy_of(handle, entry, target / entry, depth - 1)
    finally:
        os.close(handle)


def readable(wire: socket.socket, seconds: float) -> bool:
    """Whether there is something to read of a connection in that time, and it still stands."""
    poll = select.poll()
    poll.register(wire, select.POLLIN)
    found = poll.poll(seconds * 1000)
    return bool(found) and not found[0][1] & (select.POLLHUP | select.POLLERR)
