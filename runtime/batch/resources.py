"""How much of the machine a batch may take: processes by cores and memory, and room on the disk."""

from __future__ import annotations

import shutil
from pathlib import Path

from fmtool.errors import InputError
from runtime.system import machine

LEAST_FREE = 256 << 20
"""Bytes: with less left on the disk of the results, nothing new is begun."""

_WORKER_BYTES = 3 << 29  # 1.5 GiB: what a worker takes at its peak, with some to spare


def workers(scans: int) -> int:
    """One process per core, fewer where the memory or the number of scans does not call for it."""
    return min(at_once(machine.memory()), max(1, scans))


def at_once(memory: int | None) -> int:
    """How many processes so many bytes are enough for: one at least, and no more than cores.

    Args:
        memory: None where the system does not say.
    """
    cores = machine.cores()
    return cores if memory is None else max(1, min(cores, memory // _WORKER_BYTES))


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
