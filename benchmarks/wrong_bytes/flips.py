"""One byte of a file set to another value, for as long as a `with` block lasts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Flip:
    """Byte `offset` with the bits of `mask` (1 to 255) turned."""

    offset: int
    mask: int


def every(size: int) -> list[Flip]:
    """Each bit of each byte, alone."""
    return [Flip(offset, 1 << bit) for offset in range(size) for bit in range(8)]


def each(size: int, generator: np.random.Generator) -> list[Flip]:
    """Each byte once, to a value drawn."""
    masks = generator.integers(1, 256, size)
    return [Flip(offset, int(mask)) for offset, mask in enumerate(masks)]


def some(size: int, count: int, generator: np.random.Generator) -> list[Flip]:
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
