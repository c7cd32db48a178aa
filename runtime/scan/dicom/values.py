"""Values of a data set as plain numbers and words; what is absent or nonsense is None."""

from __future__ import annotations

import math
from collections.abc import Iterable
from hashlib import sha256
from typing import Any

from runtime.scan.dicom.parse import Dataset


def raw(data: Dataset, keyword: str | int) -> Any:
    """The value of a keyword or a tag as pydicom converts it, or None."""
    try:
        found = data.get(keyword)
        return getattr(found, "value", found) if isinstance(keyword, int) else found
    except MemoryError:
        raise
    except Exception:  # pydicom raises of every kind, and some of its own, for a malformed value
        return None


def listed(data: Dataset, keyword: str | int) -> list[Any]:
    """The value as a list, however many it has; a sequence of data sets has none."""
    value = raw(data, keyword)
    if value is None or value == "" or _is_sequence(value):
        return []
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        return [value]
    return list(value)


def words(data: Dataset, keyword: str | int) -> tuple[str, ...]:
    """The value's parts as text."""
    return tuple(str(part).strip() for part in listed(data, keyword))


def text(data: Dataset, keyword: str | int) -> str:
    """The value as text; "" if it is absent."""
    return "\\".join(words(data, keyword))


def numbers(data: Dataset, keyword: str, count: int) -> tuple[float, ...] | None:
    """Exactly `count` finite numbers."""
    try:
        found = tuple(float(part) for part in listed(data, keyword))
    except (TypeError, ValueError, OverflowError):  # text, or a whole number beyond floats
        return None
    return found if len(found) == count and all(map(math.isfinite, found)) else None


def number(data: Dataset, keyword: str) -> float | None:
    """One finite number."""
    found = numbers(data, keyword, 1)
    return found[0] if found else None


def whole(data: Dataset, keyword: str) -> int | None:
    """One whole number."""
    found = number(data, keyword)
    return int(found) if found is not None and found == int(found) else None


def items(data: Dataset, keyword: str) -> list[Dataset]:
    """A sequence's items."""
    value = raw(data, keyword)
    return list(value) if _is_sequence(value) else []


def _is_sequence(value: object) -> bool:
    return type(value).__name__ == "Sequence"  # pydicom's, without importing it


def hashed(uid: str) -> str:
    """A stand-in for an identifier: the same for the same one, and not it."""
    return sha256(uid.encode()).hexdigest()[:12]
