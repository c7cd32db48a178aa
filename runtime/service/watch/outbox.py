"""The outbox: what was answered, what was put aside and why, and the originals.

NAME/result.json, NAME/report.html     an answer
quarantine/NAME/                       what could not be answered, reason.txt beside it
done/NAME                              the originals of the answers
ledger.sqlite                          the record of all
"""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

from fmtool import files
from runtime import scan
from runtime.ledger import FILE
from runtime.service import move
from runtime.service.answer import PAGE, RESULT, put
from runtime.system import posix

RESERVED = frozenset({"quarantine", "done", FILE, f"{FILE}-wal"})

_LONGEST = 100


def safe(name: str) -> str:
    """A name of letters, digits, "-", "_" and "." that any file system takes."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", name)[:_LONGEST].strip("._-") or "scan"
    reserved = plain.lower() in RESERVED or files.DEVICES.match(plain)
    return f"scan_{plain}" if reserved else plain


def stem(name: str) -> str:
    """The safe name of an item without its suffix."""
    return safe(scan.stem(name))


REASON = "reason.txt"


class Outbox:
    """The folders of one watch.

    Args:
        folder: exists and can be written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.done = folder / "done"
        self.quarantine = folder / "quarantine"
        for place in (self.done, self.quarantine):
            place.mkdir(exist_ok=True)
            move.clear(place)
        for entry in list(folder.iterdir()):
            if entry.name.startswith(move.SCRATCH) and not _complete(entry):
                move.remove(entry)

    def place(self, name: str, content: str) -> Path:
        """Where the answer to an item goes: never where another content's is."""
        place = self.folder / stem(name)
        if not place.exists() or _content(place) == content:
            return place
        return self.folder / f"{place.name}-{content[:12]}"

    def has(self, name: str, content: str) -> bool:
        """Whether the answer to an item is in its place."""
        return _content(self.place(name, content)) == content

    def staged(self, name: str, content: str) -> bool:
        """Whether an item's complete answer waits to be put in its place, as after a crash."""
        staged = move.staged(self.folder, content)
        data = _data(staged)
        wanted = (name, content)
        return _complete(staged) and (data.get("scan"), data.get("content")) == wanted

    def publish(self, name: str, content: str) -> Path:
        """Put the staged answer in its place in one step; where it is."""
        staged, place = move.staged(self.folder, content), self.place(name, content)
        files.put(staged, place)
        move.remove(staged)  # what was there before, if anything was
        posix.sync(self.folder)
        return place

    def keep(self, item: Path) -> Path:
        """Move an answered item's original out of the inbox."""
        return move.move(item, self.done, safe(item.name))

    def put_aside(self, item: Path, reason: str, attempts: int) -> Path:
        """Move an item that cannot be answered out of the inbox, the reason beside it."""
        folder = self._room(stem(item.name))
        folder.mkdir(exist_ok=True)
        tried = f"It was tried {attempts} times.\n" if attempts > 1 else ""
        put(folder, {REASON: f"{reason.rstrip()}\n{tried}".encode()})
        name = safe(item.name)
        move.move(item, folder, f"scan_{name}" if name == REASON else name)
        return folder

    def forget(self, keep_days: float) -> int:
        """Delete the originals that were moved here longer ago; how many."""
        oldest, count = time.time() - keep_days * 86400, 0
        for entry in list(self.done.iterdir()):
            if entry.lstat().st_ctime < oldest:  # a rename sets it; the other times are the scan's
                move.remove(entry)
                count += 1
        return count

    def _room(self, name: str) -> Path:
        """A folder of the quarantine without an item; a crash may have left one with a reason."""
        count, folder = 1, self.quarantine / name
        while folder.exists() and {entry.name for entry in folder.iterdir()} - {REASON}:
            count += 1
            folder = self.quarantine / f"{name}-{count}"
        return folder


def _complete(folder: Path) -> bool:
    return (folder / PAGE).is_file() and _content(folder) is not None


def _content(folder: Path) -> str | None:
    """The digest of what a folder answers; None if it holds no answer."""
    found = _data(folder).get("content")
    return found if isinstance(found, str) else None


def _data(folder: Path) -> dict[str, Any]:
    """What a folder answers; empty if that is nothing, or damaged."""
    try:
        data: Any = json.loads((folder / RESULT).read_bytes())
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}
