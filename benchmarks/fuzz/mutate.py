"""Damage: bytes flipped, cut, repeated, swapped between inputs, and numbers that may be lengths.

A gzip or zip is also taken apart, damaged inside and packed again: otherwise its checksum would
refuse nearly every change before the reader under test sees it.
"""

from __future__ import annotations

import gzip
import io
import json
import random
import zipfile
import zlib
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.fuzz.entry import Entry

_MOST_UNPACKED = 1 << 22
_LENGTHS = (0, 1, 2, 3, 7, 8, 127, 128, 255, 256, 32767, 32768, 65535, 65536)
_HUGE = (2**31 - 1, 2**31, 2**32 - 1, 2**32 - 2, 2**63 - 1, 2**63, 2**64 - 1)
_GZIP, _ZIP = b"\x1f\x8b", b"PK\x03\x04"

Damage = Callable[[random.Random, bytes, Entry, Sequence[bytes]], bytes]


def mutate(rng: random.Random, data: bytes, entry: Entry, others: Sequence[bytes]) -> bytes:
    """`data`, an input of `entry`, damaged in one to a few ways; parts of `others` may come in."""
    for _ in range(rng.choice((1, 1, 1, 2, 4, 8))):
        data = _once(rng, data, entry, others)
    return data


def _once(rng: random.Random, data: bytes, entry: Entry, others: Sequence[bytes]) -> bytes:
    if data.startswith(_GZIP) and rng.random() < 0.6:
        return _gzipped(rng, data, entry, others)
    if data.startswith(_ZIP) and rng.random() < 0.6:
        return _zipped(rng, data, entry, others)
    if _is_json(data, entry) and rng.random() < 0.8:
        return damaged_json(rng, data)
    return rng.choice(_DAMAGES)(rng, data, entry, others)


def _is_json(data: bytes, entry: Entry) -> bool:
    return entry.structured == "json" or data[:1] in (b"{", b"[")


def _gzipped(rng: random.Random, data: bytes, entry: Entry, others: Sequence[bytes]) -> bytes:
    try:
        inside = zlib.decompressobj(wbits=31).decompress(data, _MOST_UNPACKED)
    except zlib.error:
        return _flip(rng, data, entry, others)
    return gzip.compress(_once(rng, inside, entry, others), 1, mtime=0)


def _zipped(rng: random.Random, data: bytes, entry: Entry, others: Sequence[bytes]) -> bytes:
    """One member damaged, renamed, doubled or left out."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            if not members or sum(m.file_size for m in members) > _MOST_UNPACKED:
                return _flip(rng, data, entry, others)
            held = [(m, archive.read(m)) for m in members]
    except Exception:  # a zip that was damaged before: damage it as bytes
        return _flip(rng, data, entry, others)
    at = rng.randrange(len(held))
    info, inside = held[at]
    how = rng.random()
    if how < 0.7:
        held[at] = info, _once(rng, inside, entry, others)
    elif how < 0.8:
        del held[at]
    elif how < 0.9:
        held.insert(rng.randrange(len(held) + 1), held[at])
    else:
        odd = ("../x", "/x", "x/../../y", "a\\b", "", ".", "x" * 300, "\x1b[31m", info.filename * 2)
        held[at] = zipfile.ZipInfo(rng.choice(odd)), inside
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for member, content in held:
            name = zipfile.ZipInfo(member.filename)
            name.compress_type = member.compress_type
            name.external_attr = member.external_attr
            archive.writestr(name, content)
    return out.getvalue()


def _flip(rng: random.Random, data: bytes, entry: Entry, others: Sequence[bytes]) -> bytes:
    del entry, others
    if not data:
        return bytes([rng.randrange(256)])
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8))):
        out[_place(rng, len(out))] ^= 1 << rng.randrange(8)
    return bytes(out)


def _byte(rng: random.Random, data: bytes, entry: Entry, others: Sequence[bytes]) -> bytes:
    del entry, others
    if not data:
        return b"\0"
    out = bytearray(data)
    out[_place(rng, len(out))] = rng.choice(
        (0, 1, 0x7F, 0x80, 0xFF, 0x0A, 0x22, rng.randrange(256))
    )
    return bytes(out)


def _number(rng: random.Random, data: bytes, entry: Entry, others: Sequence[bytes]) -> bytes:
    """A number that may be a length, an offset or a count, overwritten."""
    del entry, others
    size = rng.choice((1, 2, 4, 4, 8))
    if len(data) < size:
        return data
    at = _place(rng, len(data) - size + 1)
    value = rng.choice((*_LENGTHS, *_HUGE, len(data), len(data) + 1)) % (1 << 8 * size)
    order = "little" if rng.random() < 0.7 else "big"
    return data[:at] + value.to_bytes(size, order) + data[at + size :]  # type: ignore[arg-type]


def _cut(rng: random.Random, data: bytes, entry: Entry, others: Sequence[bytes]) -> bytes:
    del entry, others
    return data[: rng.randrange(len(data) + 1)]


def _without(rng: random.Random, data: bytes, entry: Entry, others: Sequence[bytes]) -> bytes:
    del entry, others
    at, size = _place(rng, len(data) + 1), rng.choice((1, 2, 4, 16, 256))
    return data[:at] + data[at + size :]


def _again(rng: random.Random, data: bytes, entry: Entry, others: Sequence[bytes]) -> bytes:
    del entry, others
    at, size = _place(rng, len(data) + 1), rng.choice((1, 4, 16, 256))
    to = _place(rng, len(data) + 1)
    return data[:to] + data[at : at + size] * rng.choice((1, 1, 2, 50)) + data[to:]


def _splice(rng: random.Random, data: bytes, entry: Entry, others: Sequence[bytes]) -> bytes:
    other = rng.choice(others) if others else data
    if rng.random() < 0.5:
        return data[: _place(rng, len(data) + 1)] + other[_place(rng, len(other) + 1) :]
    at, start = _place(rng, len(data) + 1), _place(rng, len(other) + 1)
    size = rng.choice((4, 16, 64, 1024))
    return data[:at] + other[start : start + size] + data[at + size :]


def _token(rng: random.Random, data: bytes, entry: Entry, others: Sequence[bytes]) -> bytes:
    if not entry.tokens:
        return _number(rng, data, entry, others)
    word, at = rng.choice(entry.tokens), _place(rng, len(data) + 1)
    return data[:at] + word + data[at + (len(word) if rng.random() < 0.5 else 0) :]


def _place(rng: random.Random, size: int) -> int:
    """Headers come first, so half of the damage does."""
    if size <= 1:
        return 0
    return rng.randrange(min(size, 512) if rng.random() < 0.5 else size)


_DAMAGES: tuple[Damage, ...] = (
    *(_flip, _byte, _number, _number, _cut, _without, _again, _splice, _token, _token),
)


_ODD: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 0.5, -0.0, 1e308, -1e308, 2**31, 2**63, 2**64, 10**400),
    *("", "x", "..", "../x", "/etc/passwd", "a\\b", "\0", "\x1b[31m", "\n", "\ud800", "0", "nan"),
    *("x" * 5000, "@network_def", "$1+1", "%x", "<b>&\"'"),
    *([], [[]], [None], [1], [1, 2], ["x", "y"], [1, 2, 3], {}, {"": None}, {"x": {}}),
    *(float("nan"), float("inf"), float("-inf")),
)


def damaged_json(rng: random.Random, data: bytes) -> bytes:
    """The JSON in `data` with one node of it changed; other bytes as they are."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return data
    try:
        return json.dumps(_damaged(rng, found)).encode()
    except (ValueError, RecursionError):  # deeper, or longer in digits, than Python writes
        return data


def _damaged(rng: random.Random, value: Any) -> Any:
    if rng.random() < 0.01:
        return _deep(rng)
    if isinstance(value, dict) and value and rng.random() < 0.9:
        key = rng.choice(list(value))
        how = rng.random()
        if how < 0.8:
            return {**value, key: _damaged(rng, value[key])}
        rest = {k: v for k, v in value.items() if k != key}
        if how < 0.9:
            return rest
        new = str(rng.choice(_ODD))[:50] if rng.random() < 0.7 else rng.choice(list(value))
        return {**rest, new: value[key]}
    if isinstance(value, list) and value and rng.random() < 0.8:
        at = rng.randrange(len(value))
        how = rng.random()
        if how < 0.6:
            return [*value[:at], _damaged(rng, value[at]), *value[at + 1 :]]
        return value[:at] + value[at + 1 :] if how < 0.8 else [*value, value[at]]
    if isinstance(value, (int, float)) and not isinstance(value, bool) and rng.random() < 0.4:
        return rng.choice((-value, value + 1, value - 1, str(value), [value]))
    return rng.choice(_ODD)


def _deep(rng: random.Random) -> Any:
    found: Any = 0
    for _ in range(rng.choice((50, 500, 900))):
        found = [found] if rng.random() < 0.5 else {"x": found}
    return found
