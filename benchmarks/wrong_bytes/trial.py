"""Flips tried on a bundle's folder and on zips of it, and how many of each kind were caught.

A flip is one byte of a file set to another value, for as long as a `with` block lasts.
Those of a zip count by the field that they fall on.

Source of the fields: PKWARE's APPNOTE.TXT 6.3.10, sections 4.3.7 (local header), 4.3.12 (central
directory) and 4.3.16 (end of central directory).
"""

from __future__ import annotations

import struct
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fmtool import bundle as bundles
from fmtool.bundle import write as bundle_write
from fmtool.bundle.manifest import Manifest
from fmtool.errors import BundleError
from fmtool.task import AGE

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


CAUGHT, HARMLESS, MISSED, CRASHED = "caught", "harmless", "missed", "crashed"

Content = dict[str, bytes]


def content(folder: Path) -> Content:
    """Every file below a folder."""
    found = sorted(p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): p.read_bytes() for p in found}


def outcome(path: Path, right: Content) -> str:
    """Refused in a sentence (`CAUGHT`), or opened: with the right content or with another.

    Args:
        path: a bundle's folder or zip.
        right: its content without the wrong byte.
    """
    try:
        with bundles.open(path) as opened:
            names = [bundles.MANIFEST, *opened.manifest.files]
            same = all((opened.path / name).read_bytes() == right.get(name) for name in names)
            return HARMLESS if same and set(names) <= set(right) else MISSED
    except BundleError:
        return CAUGHT
    except Exception:
        return CRASHED


@dataclass(frozen=True)
class Flip:
    """Byte `offset` with the bits of `mask` (1 to 255) turned."""

    offset: int
    mask: int


def every_bit(size: int) -> list[Flip]:
    """Each bit of each byte, alone."""
    return [Flip(offset, 1 << bit) for offset in range(size) for bit in range(8)]


def each_byte(size: int, generator: np.random.Generator) -> list[Flip]:
    """Each byte once, to a value drawn."""
    masks = generator.integers(1, 256, size)
    return [Flip(offset, int(mask)) for offset, mask in enumerate(masks)]


def some_bytes(size: int, count: int, generator: np.random.Generator) -> list[Flip]:
    """The first and the last byte and others drawn without repetition, each to a value drawn."""
    picked = generator.choice(size, min(count, size), replace=False)
    offsets = sorted({0, size - 1, *map(int, picked)})
    masks = generator.integers(1, 256, len(offsets))
    return [Flip(offset, int(mask)) for offset, mask in zip(offsets, masks, strict=True)]


@contextmanager
def flipped(path: Path, flip: Flip) -> Iterator[None]:
    """`path` with one wrong byte; as it was afterwards."""
    with path.open("r+b") as stream:
        stream.seek(flip.offset)
        right = stream.read(1)
        stream.seek(flip.offset)
        stream.write(bytes([right[0] ^ flip.mask]))
        stream.flush()
        try:
            yield
        finally:
            stream.seek(flip.offset)
            stream.write(right)


SMALL = 16 << 10
"""Of a file of at most so many bytes, each is tried."""

Tally = dict[str, Counter[str]]
"""Of a file, or of a field of a zip: how many flips came to what."""


def folder(path: Path, samples: int, seed: int = 20) -> Tally:
    """Every byte of small files, `samples` of each large one.

    Args:
        path: a bundle's folder, which is written to and left as it was.
        samples: per large file.
        seed: of the offsets and the values.
    """
    generator = np.random.default_rng(seed)
    right = content(path)
    found: Tally = {}
    for name, inside in right.items():
        size = len(inside)
        tried = (
            each_byte(size, generator) if size <= SMALL else some_bytes(size, samples, generator)
        )
        found[name] = _count(path / name, tried, path, right)
    return found


def packed(path: Path, to: Path, compression: int) -> Path:
    """A bundle's folder as a zip, its name the top folder."""
    with zipfile.ZipFile(to, "w", compression) as archive:
        for name in content(path):
            archive.write(path / name, f"{path.name}/{name}")
    return to


def archive(path: Path, right: dict[str, bytes], tried: Iterable[Flip]) -> Tally:
    """A zip's flips, by the field they fall on.

    Args:
        path: the zip, which is written to and left as it was.
        right: the content of the bundle's folder.
    """
    of = fields(path)
    found: Tally = {}
    for flip in tried:
        with flipped(path, flip):
            came_to = outcome(path, right)
        found.setdefault(of[flip.offset], Counter())[came_to] += 1
    return dict(sorted(found.items()))


def _count(file: Path, tried: list[Flip], bundle: Path, right: dict[str, bytes]) -> Counter[str]:
    found: Counter[str] = Counter()
    for flip in tried:
        with flipped(file, flip):
            found[outcome(bundle, right)] += 1
    return found


_MANIFEST: dict[str, Any] = {
    "name": "toy",
    "encoder": {"architecture": "resnet18", "width": 0.125, "features": 64},
    "tasks": [{**AGE.to_dict(), "evidence": {"metric": "MAE", "value": 5.0}}],
    "model": {"float32": "model.onnx"},
    "strip": {"locate": "model.onnx", "segment": "model.onnx"},
    "template": "model.onnx",
    "self_test": {"outputs": {}, "tolerance": {}},
    "files": {},
}


def toy(folder: Path) -> Path:
    """The toy's folder, made in `folder`."""
    files: dict[str, Path | bytes] = {
        "model.onnx": bytes(range(64)),
        "MODEL_CARD.md": b"# toy\n",
        "LICENSES/x.txt": b"free\n",
    }
    manifest = Manifest.from_dict(_MANIFEST)
    return bundle_write.write(folder / "toy.fmtool", manifest, files).path
