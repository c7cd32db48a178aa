"""How much of the machine a batch may take: processes by cores and memory, and room on the disk."""

from __future__ import annotations

import os
import shutil
from pathlib import Path, PurePosixPath

from fmtool.errors import InputError

LEAST_FREE = 256 << 20
"""Bytes: with less left on the disk of the results, nothing new is begun."""

_WORKER_BYTES = 3 << 29  # 1.5 GiB: what a worker takes at its peak, with some to spare
_CGROUP = Path("/sys/fs/cgroup")
_GROUPS = Path("/proc/self/cgroup")


def workers(scans: int) -> int:
    """One process per core, fewer where the memory or the number of scans does not call for it."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min(cores or 1, _memory() // _WORKER_BYTES, scans))


def check_space(folder: Path) -> None:
    """Refuse to begin anything on a disk that is nearly full.

    Raises:
        InputError: if less than `LEAST_FREE` is left.
    """
    free = shutil.disk_usage(folder).free
    if free < LEAST_FREE:
        raise InputError(
            f"{folder} has {free >> 20} MB of free space left, less than {LEAST_FREE >> 20}; free "
            "some and run the command again: what is done is kept"
        )


def _memory() -> int:
    """Bytes of the machine, or of the container or job where that has less."""
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([whole, *_limits()])


def _limits() -> list[int]:
    """What the control groups allow that this process is in: its own, and those around it."""
    lines = _GROUPS.read_text(encoding="utf-8").splitlines() if _GROUPS.is_file() else []
    inside = next((line[3:] for line in lines if line.startswith("0::")), "/")
    place = PurePosixPath(inside.lstrip("/"))
    found = []
    for group in [place, *place.parents]:
        file = _CGROUP / group / "memory.max"
        if ".." not in group.parts and file.is_file():
            limit = file.read_text(encoding="utf-8").strip()
            found += [int(limit)] if limit.isdigit() else []
    return found
