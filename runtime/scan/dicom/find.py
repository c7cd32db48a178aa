"""Find DICOM files: in a folder, in a zip, or in a list; nothing outside of it is opened."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO

from fmtool.errors import InputError
from fmtool.files import open_regular
from runtime.scan.dicom import unzip
from runtime.scan.dicom.found import (
    IS_LINK,
    IS_SPECIAL,
    TOO_LARGE,
    UNREADABLE,
    Found,
    Item,
    is_dicom,
)
from runtime.scan.dicom.limits import MAX_DEPTH, MAX_FILE_BYTES, MAX_FILES, Deadline


def kind(path: Path) -> str | None:
    """ "zip" or "dicom" for a file that begins as one, else None; never waits for a pipe."""
    try:
        with open_regular(path) as stream:
            start = stream.read(132)
    except OSError:
        return None  # whoever reads it next says why
    if start.startswith(unzip.MAGIC):
        return "zip"
    return "dicom" if is_dicom(start) else None


@contextmanager
def found(source: Path | Sequence[Path], deadline: Deadline) -> Iterator[Found]:
    """The DICOM files of a folder, a zip, a file or a list of files, while the context is open.

    Raises:
        InputError: if there are more files than are looked at, or the zip cannot be used.
    """
    if isinstance(source, Path) and source.is_dir():
        yield _folder(source, deadline)
    elif isinstance(source, Path) and kind(source) == "zip":
        with open_regular(source) as raw, unzip.opened(source, raw, deadline) as held:
            yield held
    else:
        files = [source] if isinstance(source, Path) else list(source)
        held = Found()
        for path in files[: MAX_FILES + 1]:
            _take(held, path)
        _count(deadline.source, len(files))
        yield held


def _folder(top: Path, deadline: Deadline) -> Found:
    """Depth first, names in order; a link to a folder is not entered, one to a file must stay."""
    held, root, seen = Found(), top.resolve(), 0
    waiting = [(top, 0)]
    while waiting:
        folder, depth = waiting.pop()
        try:
            entries = sorted(_entries(folder, MAX_FILES + 1 - seen), key=lambda e: e.name)
        except OSError:
            held.left_out[UNREADABLE] += 1
            continue
        seen += len(entries)
        _count(str(top), seen)
        below = []
        for entry in entries:
            deadline.check()
            if entry.is_symlink() and not _stays(Path(entry.path), root):
                held.left_out[IS_LINK] += 1
            elif entry.is_dir(follow_symlinks=False) and depth < MAX_DEPTH:
                below.append((Path(entry.path), depth + 1))
            else:
                _take(held, Path(entry.path))
        waiting += reversed(below)
    return held


def _entries(folder: Path, most: int) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return [entry for entry, _ in zip(entries, range(most), strict=False)]


def _stays(link: Path, root: Path) -> bool:
    try:
        target = link.resolve(strict=True)
    except (OSError, RuntimeError):  # broken, or a circle
        return False
    return target.is_relative_to(root) and target.is_file()


def _take(held: Found, path: Path) -> None:
    try:
        status = path.stat()
    except OSError:
        held.left_out[UNREADABLE] += 1
        return
    if not stat.S_ISREG(status.st_mode):
        held.left_out[IS_SPECIAL] += 1
    elif status.st_size > MAX_FILE_BYTES:
        held.left_out[TOO_LARGE] += 1
    else:
        held.add(Item(status.st_size, partial(_buffered, path)), (OSError,))


def _buffered(path: Path) -> BinaryIO:
    return io.BufferedReader(open_regular(path))


def _count(source: str, files: int) -> None:
    if files > MAX_FILES:
        raise InputError(
            f"{source} holds more than {MAX_FILES} files; name the folder of one study or series"
        )
