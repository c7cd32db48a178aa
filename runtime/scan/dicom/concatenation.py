"""Concatenation: one multi-frame object in several files (part 3, C.7.6.16.2.2.4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from runtime.scan.dicom import values
from runtime.scan.dicom.parse import Dataset

KEYWORDS = ("ConcatenationUID", "InConcatenationNumber", "InConcatenationTotalNumber")


class Part(NamedTuple):
    """A file's place: the whole's identifier, its number from 1, how many there are (0: untold)."""

    uid: str
    number: int
    total: int


def part(data: Dataset) -> Part | None:
    """Of a file's header; None if it is no part of anything."""
    number = values.whole(data, "InConcatenationNumber")
    if number is None:
        return None
    total = values.whole(data, "InConcatenationTotalNumber") or 0
    return Part(values.text(data, "ConcatenationUID"), number, total)


def lacking(parts: Sequence[Part]) -> str:
    """What of the concatenations is not there, in words; "" if they are whole."""
    for uid in {p.uid for p in parts}:
        numbers = {p.number for p in parts if p.uid == uid}
        total = max(*(p.total for p in parts if p.uid == uid), *numbers)
        if len(numbers) < total:
            return f"{len(numbers)} of the {total} files of its concatenation are there"
    return ""
