"""Moving an item into its place in one step, also to another disk; where what is not done waits."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
from pathlib import Path

from runtime.service.watch.look import MAX_DEPTH, look
from runtime.system import posix

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
    if posix.owned(item):
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
    posix.copy(item, target, MAX_DEPTH)


def _free(folder: Path, name: str) -> Path:
    count, target = 1, folder / name
    while os.path.lexists(target):
        count += 1
        target = folder / f"{name}-{count}"
    return target
