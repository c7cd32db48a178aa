"""Which field of a zip each byte belongs to.

Source: PKWARE's APPNOTE.TXT 6.3.10, sections 4.3.7 (local header), 4.3.12 (central directory) and
4.3.16 (end of central directory).
"""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

_LOCAL = (
    ("signature", 4), ("version needed", 2), ("flags", 2), ("method", 2), ("time", 4),
    ("CRC-32", 4), ("compressed size", 4), ("size", 4), ("name length", 2), ("extra length", 2),
)  # fmt: skip
_CENTRAL = (
    ("signature", 4), ("version made by", 2), ("version needed", 2), ("flags", 2), ("method", 2),
    ("time", 4), ("CRC-32", 4), ("compressed size", 4), ("size", 4), ("name length", 2),
    ("extra length", 2), ("comment length", 2), ("disk", 2), ("internal attributes", 2),
    ("external attributes", 4), ("offset", 4),
)  # fmt: skip
_END = (
    ("signature", 4), ("disk", 2), ("first disk", 2), ("entries here", 2), ("entries", 2),
    ("directory size", 4), ("directory offset", 4), ("comment length", 2),
)  # fmt: skip


def fields(path: Path) -> list[str]:
    """The field of each byte, "content" where it is a file's (compressed) bytes."""
    raw = path.read_bytes()
    found = ["content"] * len(raw)
    with zipfile.ZipFile(path) as archive:
        start = archive.start_dir
        for member in archive.infolist():
            at = member.header_offset
            name, extra = struct.unpack_from("<HH", raw, at + 26)
            at = _lay(found, at, "local ", _LOCAL)
            _lay(found, at, "local ", (("name", name), ("extra", extra)))
        for _ in archive.infolist():
            name, extra, comment = struct.unpack_from("<HHH", raw, start + 28)
            start = _lay(found, start, "central ", _CENTRAL)
            rest = (("name", name), ("extra", extra), ("comment", comment))
            start = _lay(found, start, "central ", rest)
    _lay(found, start, "end ", _END)
    return found


def _lay(found: list[str], at: int, part: str, sizes: tuple[tuple[str, int], ...]) -> int:
    for name, size in sizes:
        found[at : at + size] = [part + name] * size
        at += size
    return at
