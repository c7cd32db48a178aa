"""One process per folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from fmtool.errors import InputError


@contextmanager
def alone(folder: Path, what: str) -> Iterator[None]:
    """Have a folder to oneself; a killed process gives it back.

    Args:
        folder: exists and can be written.
        what: the kind of process, such as "watch", that uses it.

    Raises:
        InputError: if another one uses it.
    """
    lock = FileLock(folder / f".{what}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise InputError(f"another {what} uses {folder}; name another folder") from None
    try:
        yield
    finally:
        lock.release()
