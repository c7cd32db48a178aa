"""Flips tried on a bundle's folder and on zips of it, and how many of each kind were caught."""

from __future__ import annotations

import zipfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from benchmarks.wrong_bytes import flips, zip_fields
from benchmarks.wrong_bytes.outcome import content, outcome

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
            flips.each(size, generator) if size <= SMALL else flips.some(size, samples, generator)
        )
        found[name] = _count(path / name, tried, path, right)
    return found


def packed(path: Path, to: Path, compression: int) -> Path:
    """A bundle's folder as a zip, its name the top folder."""
    with zipfile.ZipFile(to, "w", compression) as archive:
        for name in content(path):
            archive.write(path / name, f"{path.name}/{name}")
    return to


def archive(path: Path, right: dict[str, bytes], tried: Iterable[flips.Flip]) -> Tally:
    """A zip's flips, by the field they fall on.

    Args:
        path: the zip, which is written to and left as it was.
        right: the content of the bundle's folder.
        tried: the flips.
    """
    of = zip_fields.fields(path)
    found: Tally = {}
    for flip in tried:
        with flips.flipped(path, flip):
            came_to = outcome(path, right)
        found.setdefault(of[flip.offset], Counter())[came_to] += 1
    return dict(sorted(found.items()))


def _count(
    file: Path, tried: list[flips.Flip], bundle: Path, right: dict[str, bytes]
) -> Counter[str]:
    found: Counter[str] = Counter()
    for flip in tried:
        with flips.flipped(file, flip):
            found[outcome(bundle, right)] += 1
    return found
