"""Free space: what a service looks at before it takes on more."""

from __future__ import annotations

import errno
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

MIN_FREE_BYTES = 1 << 30
"""Left free by default: room for what is under way, for logs, and for the rest of the system."""


@dataclass(frozen=True)
class SpaceGuard:
    """Watches the disk of a folder that exists.

    Attributes:
        folder: on the disk.
        min_free_bytes: below it nothing new is begun.
    """

    folder: Path
    min_free_bytes: int = MIN_FREE_BYTES

    def free(self) -> int:
        """Bytes that this user may still write."""
        return shutil.disk_usage(self.folder).free

    def enough(self, more: int = 0) -> bool:
        """Whether `more` bytes can be written and the minimum is still free."""
        return self.free() - more >= self.min_free_bytes


def is_full(error: OSError) -> bool:
    """Whether a write failed because the disk, or the user's share of it, is full."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def sync(folder: Path) -> None:
    """Have the names in a folder survive a loss of power, as fsync has a file's bytes."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
