"""Free space: what a service looks at before it takes on more."""

from __future__ import annotations

import errno
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MIN_FREE_BYTES = 1 << 30
"""Left free by default: room for what is under way, for logs, and for the rest of the system."""


class NoSpace(OSError):
    """The disk is too full to accept anything."""


class SpaceGuard:
    """Watches the disk of a folder that exists; for any thread.

    Args:
        folder: on the disk.
        min_free_bytes: below it nothing new is taken in.
    """

    def __init__(self, folder: Path, min_free_bytes: int = MIN_FREE_BYTES) -> None:
        self.folder, self._min_free_bytes = folder, min_free_bytes
        self._lock = threading.Lock()
        self._promised = 0

    def free(self) -> int:
        """Bytes that this user may still write."""
        return shutil.disk_usage(self.folder).free

    def enough(self, more: int = 0) -> bool:
        """Whether `more` can be written beside what was promised, and the minimum stay free."""
        return self.free() - self._promised - more >= self._min_free_bytes

    @contextmanager
    def reserved(self, size: int) -> Iterator[Reservation]:
        """Promise space to what comes in, until it is there or given up.

        Raises:
            NoSpace: if there is not as much, or if what is written meanwhile takes it.
        """
        with self._lock:
            if not self.enough(size):
                raise NoSpace("the disk is too full")
            self._promised += size
        reservation = Reservation(self, size)
        try:
            yield reservation
        finally:
            self.keep(-reservation.left)

    def keep(self, more: int) -> None:
        """Promise more, or less."""
        with self._lock:
            self._promised += more


class Reservation:
    """Space that was promised to one input: what of it is not written yet is `left`."""

    def __init__(self, guard: SpaceGuard, size: int) -> None:
        self._guard, self._size, self.left = guard, size, size

    def wrote(self, total: int) -> None:
        """So many bytes are written by now, of however many were announced.

        Raises:
            NoSpace: if less than the minimum is free.
        """
        left = max(0, self._size - total)
        self._guard.keep(left - self.left)
        self.left = left
        if not self._guard.enough():
            raise NoSpace("the disk is too full")


def is_full(error: OSError) -> bool:
    """Whether a write failed because the disk, or the user's share of it, is full."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)
