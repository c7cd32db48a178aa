"""Which process holds a claim, and whether it still lives."""

from __future__ import annotations

import os
import socket
import time
from functools import cache
from pathlib import Path

STALE_SECONDS = 120.0
"""A claim from another machine or container is void after so long without a heartbeat."""

BEAT_SECONDS = 15.0


def me() -> str:
    """This process: where it runs, its number there, and when it started.

    The number alone would be taken for a later process that the system gives it to.
    """
    return f"{_place()}|{os.getpid()}|{_started(os.getpid())}"


def lives(owner: str, heartbeat: float | None) -> bool:
    """Whether the process that calls itself `owner` still works on what it claimed.

    Here that is known; of a process elsewhere, only its last heartbeat is.
    """
    place, _, process = owner.rpartition("|")[0].rpartition("|")
    started = owner.rpartition("|")[2]
    if place == _place() and process.isascii() and process.isdigit():
        return _started(int(process[:10])) == started
    return heartbeat is not None and time.time() - heartbeat < STALE_SECONDS


@cache
def _place() -> str:
    """The machine, its present run, and the container: process numbers mean nothing beyond it."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    space = Path("/proc/self/ns/pid")
    run = boot.read_text(encoding="utf-8").strip() if boot.exists() else ""
    return f"{socket.gethostname()}/{run}/{os.readlink(space) if space.exists() else ''}"


def _started(number: int) -> str | None:
    """When a process of this place started, in the kernel's ticks; None if there is none."""
    if not Path("/proc").is_dir():
        return _answers(number)
    try:
        line = Path(f"/proc/{number}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The second field, the name, may hold spaces and parentheses of its own.
    state, *rest = line.rpartition(")")[2].split()
    return None if state in "ZX" else rest[18]


def _answers(number: int) -> str | None:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    return ""
