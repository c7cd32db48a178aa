"""What a source holds: its DICOM files, not yet read, and a count of everything else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import BinaryIO

_MAGIC_AT = 128
_MAGIC = b"DICM"
_CHUNK = 1 << 20

IS_ARCHIVE = "archives inside"
IS_LINK = "links out of the folder"
IS_OTHER = "not DICOM"
IS_SPECIAL = "pipes, sockets or devices"
TOO_LARGE = "too large"
UNREADABLE = "unreadable"
DAMAGED = "damaged"


@dataclass(frozen=True)
class Item:
    """One file, on disk or in a zip.

    Attributes:
        size: bytes, unpacked.
        open: gives a stream of them from the start, read forwards.
    """

    size: int
    open: Callable[[], BinaryIO]

    def read(self, most: int) -> bytes:
        """The first `most` bytes; fewer only at the end."""
        parts, left = [], min(most, self.size)
        with self.open() as stream:
            while left and (part := stream.read(min(left, _CHUNK))):
                parts.append(part)
                left -= len(part)
        return b"".join(parts)


@dataclass
class Found:
    """The DICOM files of a source, and how many files of each other kind were left out."""

    items: list[Item] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)

    def add(self, item: Item, errors: tuple[type[Exception], ...]) -> None:
        """Take `item` if it is DICOM, else count it; `errors` are what opening it may raise."""
        try:
            start = item.read(_MAGIC_AT + len(_MAGIC))
        except errors:
            self.left_out[UNREADABLE] += 1
            return
        if is_dicom(start):
            self.items.append(item)
        else:
            self.left_out[IS_ARCHIVE if start.startswith(b"PK\x03\x04") else IS_OTHER] += 1


def is_dicom(start: bytes) -> bool:
    """Whether a file that begins with these 132 bytes says that it is DICOM."""
    return start[_MAGIC_AT : _MAGIC_AT + len(_MAGIC)] == _MAGIC
