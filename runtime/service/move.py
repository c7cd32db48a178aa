"""Moving an item into its place in one step, also to another disk; where what is not done waits."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from pathlib import Path

from runtime.service.watch.look import look

SCRATCH = ".fmtool-"
"""How what is not finished begins; whatever a crash leaves of it may be deleted."""


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

    On another disk it is copied under a scratch name first, so that a crash in between leaves the
    original where it was.

    Raises:
        OSError: if it cannot be moved; the original is still there.
    """
    target = _free(folder, name)
    try:
        os.rename(item, target)
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
        except BaseException:
            remove(scratch)
            raise
        remove(item)
    return target


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
    if item.is_dir() and not item.is_symlink():
        shutil.copytree(item, target, symlinks=True, ignore=_special)
    elif item.is_symlink() or item.is_file():
        shutil.copy2(item, target, follow_symlinks=False)
    else:
        target.write_text("no file: a pipe, a socket or a device\n", encoding="utf-8")


def _special(folder: str, names: list[str]) -> list[str]:
    """Pipes, sockets and devices, which cannot be copied."""
    paths = {name: Path(folder, name) for name in names}
    return [
        name
        for name, path in paths.items()
        if not (path.is_symlink() or path.is_file() or path.is_dir())
    ]


def _free(folder: Path, name: str) -> Path:
    count, target = 1, folder / name
    while os.path.lexists(target):
        count += 1
        target = folder / f"{name}-{count}"
    return target
