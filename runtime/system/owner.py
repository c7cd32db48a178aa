"""Which process something belongs to, and whether it still lives."""

from __future__ import annotations

import hashlib
import os
import socket
import sys
import time
from functools import cache
from pathlib import Path

STALE_SECONDS = 120.0
"""What another machine's or container's process holds is void so long after its heartbeat."""

BEAT_SECONDS = 15.0

# Windows takes the signal 0 for a Ctrl-C; there the heartbeat alone tells.
_UNASKED = sys.platform == "win32"


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
    return _lives(place == _place(), process, owner.rpartition("|")[2], heartbeat)


def tag() -> str:
    """This process, in characters for a file's name."""
    return f"{_mark()}-{os.getpid()}-{_started(os.getpid()) or ''}"


def tagged_lives(tag: str, heartbeat: float) -> bool:
    """`lives` for a process that calls itself `tag`; anything else is taken for one elsewhere."""
    mark, _, process = tag.rpartition("-")[0].rpartition("-")
    return _lives(mark == _mark(), process, tag.rpartition("-")[2], heartbeat)


def _lives(here: bool, process: str, started: str, heartbeat: float | None) -> bool:
    if here and process.isascii() and process.isdigit() and not _UNASKED:
        return _started(int(process[:10])) == started
    return heartbeat is not None and time.time() - heartbeat < STALE_SECONDS


@cache
def _place() -> str:
    """The machine, its present run, and the container: process numbers mean nothing beyond it."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    space = Path("/proc/self/ns/pid")
    run = boot.read_text(encoding="utf-8").strip() if boot.exists() else ""
    return f"{socket.gethostname()}/{run}/{os.readlink(space) if space.exists() else ''}"


def _mark() -> str:
    return hashlib.sha256(_place().encode()).hexdigest()[:8]


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
    if _UNASKED:
        return ""
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    return ""
