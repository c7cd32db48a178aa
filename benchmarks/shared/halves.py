"""Real heads in two halves by subject: ranges are measured on one, checks judged on the other."""

from __future__ import annotations

import zlib
from pathlib import Path

from benchmarks.shared import heads

MEASURED, JUDGED = 0, 1


def half(path: Path) -> int:
    """Which half a head belongs to: by its name alone, and each head is another subject's."""
    return zlib.crc32(heads.label(path).encode()) % 2


def find(which: int, folder: Path | None = None) -> list[Path]:
    """The real heads of one half, in order."""
    return [path for path in heads.find(folder) if half(path) == which]
