"""SHA-256 of files, remembered for as long as a file's status says that it is the same."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from fmtool.files import sha256
from runtime.system import atomic

_SETTLED = 2_000_000_000
# Nanoseconds. A file that changed more recently could change again within its clock's resolution
# (two seconds on the coarsest file systems) and look the same: its digest is not remembered yet.


class Digests:
    """Digests by inode, size and times of modification and status change, as git trusts them.

    The status-change time cannot be set by a user, so a copy that keeps its modification time is
    noticed. Decay of the disk is not: ask `anew` for that.

    Args:
        folder: of the memory, a small file per inode, so that no name is kept; made when first
            needed. Where it cannot be written, as on a read-only disk, every digest is computed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def of(self, path: Path, anew: bool = False) -> str:
        """The SHA-256 of a file's bytes, in hexadecimal.

        Args:
            path: an existing file.
            anew: read the file whatever is remembered.
        """
        before = _status(path)
        memory = self.folder / f"{before['device']:x}-{before['inode']:x}.json"
        if not anew:
            remembered = _read(memory)
            if remembered.get("status") == before:
                return str(remembered["sha256"])
        digest = sha256(path)
        settled = time.time_ns() - max(before["mtime_ns"], before["ctime_ns"]) > _SETTLED
        if settled and _status(path) == before and _writable(self.folder):
            for folder in (self.folder.parent, self.folder):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            record = {"status": before, "sha256": digest}
            atomic.write_bytes(memory, json.dumps(record).encode())
        return digest


def _status(path: Path) -> dict[str, int]:
    status = path.stat()
    return {
        "device": status.st_dev,
        "size": status.st_size,
        "inode": status.st_ino,
        "mtime_ns": status.st_mtime_ns,
        "ctime_ns": status.st_ctime_ns,
    }


def _read(memory: Path) -> dict[str, object]:
    """What was remembered; nothing, if that is damaged: the digest is then computed."""
    try:
        record = json.loads(memory.read_bytes())
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) and isinstance(record.get("sha256"), str) else {}


def _writable(folder: Path) -> bool:
    nearest = next(f for f in (folder, *folder.absolute().parents) if f.exists())
    return nearest.is_dir() and os.access(nearest, os.W_OK)
