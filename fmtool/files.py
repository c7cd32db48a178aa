"""Files and folders: digests, damaged archives, and a finished folder put in place in one step.

A folder cannot be renamed onto another that holds files. On Linux the two are exchanged by one
system call, so that a reader, or whoever looks after a crash, finds the old folder or the new one.
"""

from __future__ import annotations

import ctypes
import errno
import hashlib
import io
import lzma
import os
import re
import stat
import struct
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fmtool.errors import BundleError, InputError


def open_regular(
    path: str | os.PathLike[str], flags: int = 0, folder: int | None = None
) -> io.FileIO:
    """A file opened for reading; what has become a pipe or a device is not waited for.

    Args:
        path: of the file.
        flags: more of `os.open`'s.
        folder: a descriptor of the folder that the path begins in.

    Raises:
        OSError: if it cannot be opened, or is no regular file.
    """
    known = (getattr(os, name, 0) for name in ("O_NONBLOCK", "O_BINARY"))  # POSIX's, Windows'
    handle = os.open(path, os.O_RDONLY | sum(known) | flags, dir_fd=folder)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "it is no regular file", os.fspath(path))
    return io.FileIO(handle)


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with io.BufferedReader(open_regular(path)) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def secret(path: Path, most: int, what: str, remedy: str) -> bytes:
    """The content of a small regular file that nobody else may read; never waits for a pipe.

    Args:
        path: of the file.
        most: bytes of it that are wanted; one more is read.
        what: it is called in errors: "the token file".
        remedy: how to make a good one.

    Raises:
        InputError: if it cannot be read, is no file, or is open to others.
    """
    try:
        with open_regular(path) as stream:
            mode = os.fstat(stream.fileno()).st_mode
            data = stream.read(most + 1)
    except OSError as error:
        raise InputError(f"{what} {path} cannot be read ({error.strerror}); {remedy}") from None
    # Of what systemd keeps for a service, the bits of the group are its ACL's mask.
    kept = os.environ.get("CREDENTIALS_DIRECTORY")
    group = 0 if kept is not None and path.absolute().parent == Path(kept) else stat.S_IRWXG
    if os.name == "posix" and mode & (stat.S_IRWXO | group):
        raise InputError(f"{what} {path} is open to others; chmod 600 it, then renew it")
    return data


DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)
"""How a name begins that Windows takes for a device, whatever its suffix."""

SCRATCH = ".fmtool-"
"""How the temporary folders begin; what a killed process leaves of them may be deleted."""

STAGED = "unfinished"
"""What a folder is called while it is written."""

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_UNSUPPORTED = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP)


def probe(target: Path) -> None:
    """Make a file in the nearest folder that is there, and remove it again.

    Nothing else is made yet, not even folders: a failure must leave no trace.

    Raises:
        OSError: if that cannot be done.
    """
    nearest = next(folder for folder in target.absolute().parents if folder.exists())
    with tempfile.TemporaryFile(dir=nearest):
        pass


def put(staged: Path, target: Path) -> None:
    """Rename `staged` to `target`; a folder that is there takes the name of `staged` instead.

    Where the system or the file system cannot exchange two folders, the old one is moved away
    first: a crash between the two steps leaves it beside `staged`, as `old`.

    Args:
        staged: a complete folder, on the file system of `target`.
        target: a folder, or nothing.
    """
    if not target.exists():
        staged.rename(target)
    elif not _exchange(staged, target):
        old = staged.with_name("old")
        target.rename(old)
        try:
            staged.rename(target)
        except OSError:
            old.rename(target)
            raise


def _exchange(one: Path, other: Path) -> bool:
    """Swap two names in one step; False where that is not possible here."""
    if sys.platform != "linux":
        return False
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    paths = os.fsencode(one), os.fsencode(other)
    if rename(_AT_FDCWD, paths[0], _AT_FDCWD, paths[1], _RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in _UNSUPPORTED:
        return False
    raise OSError(code, os.strerror(code), os.fspath(other))


@contextmanager
def writing(what: str | os.PathLike[str]) -> Iterator[None]:
    """Turn the system's refusal to write (disk full, no permission) into one sentence.

    Raises:
        BundleError: naming `what` and the system's reason.
    """
    try:
        yield
    except OSError as error:
        why = error.strerror or error
        place = f" at {error.filename}" if error.filename else ""
        raise BundleError(
            f"cannot write {os.fspath(what)} ({why}{place}); free some space, or name a place "
            "that you may write to; nothing was written"
        ) from None


DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    IndexError,  # an entry without a name
    OverflowError,
    RuntimeError,  # encrypted; NotImplementedError, for a method, is one
    ValueError,
)
"""A read of the archive or of an entry may raise these; OSError, of the disk or of bzip2, apart."""


def bounded(entry: zipfile.ZipInfo) -> zipfile.ZipInfo:
    """The entry, if unpacking it takes little memory whatever it claims.

    Raises:
        zipfile.BadZipFile: for LZMA, whose dictionary may be of gigabytes; zips of scans and of
            weights are deflated or stored.
    """
    if entry.compress_type == zipfile.ZIP_LZMA:
        raise zipfile.BadZipFile("an entry is packed with LZMA; pack it with deflate")
    return entry
