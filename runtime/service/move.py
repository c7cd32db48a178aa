"""Moving an item into its place in one step, also to another disk; where what is not done waits."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
from pathlib import Path

from fmtool.files import open_regular
from runtime.service.watch.look import MAX_DEPTH, look

SCRATCH = ".fmtool-"
"""How what is not finished begins; whatever a crash leaves of it may be deleted."""


LEFT = ".fmtool-left-"
"""How an original is called that was copied and that only its sender may remove."""


def staged(folder: Path, content: str) -> Path:
    """Where the answer to a content is written before it is put in its place."""
    return folder / f"{SCRATCH}{content}"


def stage(folder: Path, content: str) -> Path:
    """`staged`, empty."""
    place = staged(folder, content)
    remove(place)
    place.mkdir()
    return place


def move(item: Path, folder: Path, name: str) -> Path:
    """Move `item` to `folder/name`, or `name-2` and so on if that is taken; where it is now.

    What is this user's own is renamed. What is another user's is copied, so that its sender can
    change nothing of it any more, and then removed; so is what comes from another disk. A copy has
    a scratch name first: a crash in between leaves the original where it was. Where the original
    may be neither removed nor read, it is renamed: within its folder to a hidden name, which is no
    item, or to its target.

    Raises:
        OSError: if it cannot be moved; the original is still there.
    """
    target = _free(folder, name)
    if _own(item):
        try:
            os.rename(item, target)
            close(target)
            return target
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
    size = look(item).bytes
    if size > shutil.disk_usage(folder).free:
        raise OSError(errno.EFBIG, f"{size} bytes do not fit there") from None
    scratch = folder / f"{SCRATCH}{secrets.token_hex(8)}"
    try:
        _copy(item, scratch)
        os.rename(scratch, target)
    except PermissionError:
        remove(scratch)
        os.rename(item, target)
        return target
    except BaseException:
        remove(scratch)
        raise
    try:
        remove(item)
    except PermissionError:
        os.rename(item, item.with_name(f"{LEFT}{secrets.token_hex(8)}"))
    return target


def close(path: Path) -> None:
    """Take the rights of all but the owner from a file or a folder, and what is in it."""
    for place, names, files in os.walk(path):
        for each in (place, *(os.path.join(place, name) for name in (*names, *files))):
            _close(each)
    _close(path)


def _close(path: str | Path) -> None:
    mode = os.lstat(path).st_mode
    if not stat.S_ISLNK(mode):
        os.chmod(path, stat.S_IMODE(mode) & ~(stat.S_IRWXG | stat.S_IRWXO))


def _own(item: Path) -> bool:
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


def remove(path: Path) -> None:
    """Delete a file, a link or a folder; nothing if there is none."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def clear(folder: Path) -> None:
    """Delete what a crash left unfinished."""
    for entry in list(folder.iterdir()):
        if entry.name.startswith(SCRATCH):
            remove(entry)


def _copy(item: Path, target: Path) -> None:
    """Copy a file or a folder as it is opened, following no link, whatever becomes of its names."""
    if item.is_symlink() or not (item.is_dir() or item.is_file()):
        target.write_text("no file: a link, a pipe, a socket or a device\n", encoding="utf-8")
        return
    parent = os.open(item.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _copy_of(parent, item.name, target, MAX_DEPTH)
    finally:
        os.close(parent)


def _copy_of(parent: int, name: str, target: Path, depth: int) -> None:
    """Copy an entry of a folder that is open; links, pipes, sockets and devices in it are left."""
    if not stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
        with open_regular(name, os.O_NOFOLLOW, parent) as stream, target.open("xb") as out:
            shutil.copyfileobj(stream, out)
            facts = os.fstat(stream.fileno())
            os.utime(out.fileno(), ns=(facts.st_atime_ns, facts.st_mtime_ns))
        return
    how = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    handle = os.open(name, how, dir_fd=parent)
    try:
        target.mkdir(mode=0o700)
        for entry in os.listdir(handle):
            mode = os.stat(entry, dir_fd=handle, follow_symlinks=False).st_mode
            if stat.S_ISREG(mode) or (stat.S_ISDIR(mode) and depth):
                _copy_of(handle, entry, target / entry, depth - 1)
    finally:
        os.close(handle)


def _free(folder: Path, name: str) -> Path:
    count, target = 1, folder / name
    while os.path.lexists(target):
        count += 1
        target = folder / f"{name}-{count}"
    return target
