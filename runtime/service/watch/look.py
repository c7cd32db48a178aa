"""Looking at an inbox: what lies in it, and a fingerprint that any change of an item changes.

Only `os.scandir` and `stat` are used, so that network mounts, which send no events, work too.
Nothing is opened, and no link is followed.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from fmtool.errors import InputError, shown


class Settling:
    """The items of an inbox that are waited for, and since when they have not changed.

    The window is measured by this machine's own clock between two looks: a file's time may come
    from another machine, or from the original that it is a copy of.

    Args:
        inbox: the folder.
        window_s: without a change until an item is complete.
        clock: seconds, never going back.
    """

    def __init__(
        self, inbox: Path, window_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._inbox = inbox
        self._window_s = window_s
        self._clock = clock
        self._held: dict[str, tuple[ItemState, float]] = {}

    @property
    def held(self) -> set[str]:
        """The names of what is in the inbox."""
        return set(self._held)

    def update(self, names: Iterable[str]) -> list[tuple[str, ItemState]]:
        """Look at every item; those that are complete, the longest unchanged first."""
        held: dict[str, tuple[ItemState, float]] = {}
        for name in names:
            try:
                seen = look(self._inbox / name)
            except OSError:
                continue  # gone again, or not to be listed just now: its window begins anew
            before = self._held.get(name)
            same = before is not None and before[0].fingerprint == seen.fingerprint
            held[name] = (seen, before[1] if same and before else self._clock())
        self._held = held
        now = self._clock()
        ready = [
            (since, name, seen)
            for name, (seen, since) in held.items()
            if now - since >= self._window_s * (_PATIENCE if seen.unfinished else 1)
        ]
        return [(name, seen) for _, name, seen in sorted(ready, key=lambda r: (r[0], r[1]))]

    def again(self, name: str) -> None:
        """Let an item's window begin anew."""
        if name in self._held:
            self._held[name] = (self._held[name][0], self._clock())

    def forget(self, name: str) -> None:
        """An item was dealt with."""
        self._held.pop(name, None)


MAX_ITEMS = 20_000
"""Looked at per pass; the others wait until some of these are gone."""

MAX_BYTES = 8 << 30
MAX_FILES = 20_000
MAX_DEPTH = 16
"""Of one item; beyond it is no series."""

_PATIENCE = 20  # windows for a file inside an item to get the name that it will have

_UNFINISHED = re.compile(
    r".*\.(tmp|temp|part|partial|filepart|crdownload|opdownload|download|incomplete)|~.*|.*~|\.~.*|"
    r".*\.~[0-9a-f]+|"
    r"\.(?!_).+\.[a-z0-9]{6}|\.(rsync-|goutputstream-).*",  # rsync's; "._" is of a finished file
    re.IGNORECASE | re.DOTALL,
)
"""What copying programs call a file that they still write."""


@dataclass(frozen=True)
class ItemState:
    """How an item looked.

    Attributes:
        fingerprint: of its files' names, sizes and times.
        bytes: in all its files.
        refused: why it is never opened, or empty.
        unfinished: whether that is because a copy into it may be under way.
    """

    fingerprint: bytes
    bytes: int
    refused: str = ""
    unfinished: bool = False


def names(inbox: Path) -> Iterator[str]:
    """The items of an inbox; hidden and unfinished files are none.

    Raises:
        OSError: if the folder cannot be listed just now.
    """
    with os.scandir(inbox) as entries:
        found = (e.name for e in entries if not is_hidden(e.name))
        yield from islice(found, MAX_ITEMS)


def is_hidden(name: str) -> bool:
    """Whether a name says that it is none of ours, or not yet."""
    return name.startswith(".") or is_unfinished(name)


def is_unfinished(name: str) -> bool:
    """Whether a name is one that a copying program gives a file until it is whole."""
    return _UNFINISHED.fullmatch(name) is not None


def look(item: Path) -> ItemState:
    """How an item looks now.

    Raises:
        OSError: if it is gone, or cannot be listed just now.
    """
    facts = item.lstat()
    if not (stat.S_ISREG(facts.st_mode) or stat.S_ISDIR(facts.st_mode)):
        kind = "a link" if stat.S_ISLNK(facts.st_mode) else "no file and no folder"
        return ItemState(_fingerprint([_line(item.name, facts)]), 0, f"it is {kind}; copy the scan")
    if stat.S_ISREG(facts.st_mode):
        return ItemState(_fingerprint([_line("", facts)]), facts.st_size, _large(facts.st_size))
    lines, size, linked, unfinished = [_line("", facts)], 0, False, ""
    try:
        for name, inside in _walk(item):
            if is_unfinished(last := os.path.basename(name)):
                unfinished = last
            lines.append(_line(name, inside))
            size += inside.st_size
            linked |= stat.S_ISLNK(inside.st_mode)
    except InputError as error:
        return ItemState(_fingerprint(lines), size, str(error))
    if unfinished:
        why = f"it holds {shown(unfinished)}, which looks like a copy that was not finished"
        return ItemState(
            _fingerprint(lines), size, f"{why}; copy it again, or delete that file", True
        )
    refused = "it holds links; copy the files" if linked else _large(size)
    return ItemState(_fingerprint(lines), size, refused)


def _large(size: int) -> str:
    """A sparse file may claim any size; to read it for its digest would take days."""
    return f"it holds {size} bytes; send one series" if size > MAX_BYTES else ""


def _walk(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    count, waiting = 0, [(os.fspath(folder), 0)]
    while waiting:
        place, depth = waiting.pop()
        with os.scandir(place) as entries:
            for entry in entries:
                count += 1
                if count > MAX_FILES:
                    raise InputError(f"it holds more than {MAX_FILES} files; send one series")
                if entry.is_dir(follow_symlinks=False):
                    if depth == MAX_DEPTH:
                        raise InputError(f"it holds folders more than {MAX_DEPTH} deep")
                    waiting.append((entry.path, depth + 1))
                yield entry.path, entry.stat(follow_symlinks=False)


def _line(name: str, facts: os.stat_result) -> bytes:
    # The last one is the system's own: nobody sets it back after a file was changed or moved.
    times = f"{facts.st_mtime_ns}\0{facts.st_ctime_ns}"
    text = f"{name}\0{facts.st_mode}\0{facts.st_ino}\0{facts.st_size}\0{times}"
    return text.encode("utf-8", "surrogateescape")


def _fingerprint(lines: list[bytes]) -> bytes:
    return hashlib.sha256(b"\n".join(sorted(lines))).digest()[:16]
