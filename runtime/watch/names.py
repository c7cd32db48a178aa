"""What an item is called in the outbox: nothing that anyone sends leads out of it."""

from __future__ import annotations

import re

RESERVED = frozenset({"quarantine", "done", "ledger.sqlite", "ledger.sqlite-wal"})

_SUFFIXES = (".nii.gz", ".nii", ".mgz", ".mgh", ".zip", ".dcm")
_LONGEST = 100
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)


def safe(name: str) -> str:
    """A name of letters, digits, "-", "_" and "." that any file system takes."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", name)[:_LONGEST].strip("._-") or "scan"
    reserved = plain.lower() in RESERVED or _DEVICES.match(plain)
    return f"scan_{plain}" if reserved else plain


def stem(name: str) -> str:
    """The safe name of an item without its suffix."""
    for suffix in _SUFFIXES:
        if name.lower().endswith(suffix):
            name = name[: -len(suffix)]
            break
    return safe(name)
