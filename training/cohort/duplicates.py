"""Scans that are listed twice, under one name or two: they would leak across splits."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fmtool.errors import InputError
from fmtool.files import sha256
from training.cohort.row import Row

if TYPE_CHECKING:
    from training.cohort import Cohort
    from training.cohort.prepared import PreparedScan

_SAMPLE = 16 << 10  # bytes


def same_images(files: Sequence[Path]) -> list[tuple[int, int]]:
    """(later, earlier) positions of files with the same bytes, each later one with the first.

    A file is read only as far as it has a rival: first its size, then three samples of it, then
    all. Folders are compared by their path.

    Args:
        files: existing files or folders.
    """
    groups: list[list[int]] = [list(range(len(files)))]
    for key in (_size, _sample, _digest):
        groups = [part for group in groups for part in _parted(group, files, key)]
    return sorted((later, group[0]) for group in groups for later in group[1:])


def refuse_twins(cohort: Cohort[Any], entries: Sequence[PreparedScan]) -> None:
    """Refuse a cohort in which two files were prepared to the same voxels: one scan, two names.

    Args:
        cohort: of N rows.
        entries: (N,) prepared scans.

    Raises:
        InputError: naming the first pair.
    """
    seen: dict[str, Row] = {}
    for row, entry in zip(cohort.rows, entries, strict=True):
        first = seen.setdefault(entry.facts["digest"], row)
        if first is not row:
            raise InputError(
                f"{cohort.path}: {row.image.name} (line {row.line}) holds the same voxels as "
                f"{first.image.name} (line {first.line}) under another name: take one of them out"
            )


def _parted(
    group: Sequence[int], files: Sequence[Path], key: Callable[[Path], Hashable]
) -> Iterable[list[int]]:
    """The parts of a group that agree in `key` and have two members or more."""
    parts: dict[Hashable, list[int]] = defaultdict(list)
    for position in group:
        parts[key(files[position])].append(position)
    return (part for part in parts.values() if len(part) > 1)


def _size(file: Path) -> Hashable:
    return file.stat().st_size if file.is_file() else str(file.resolve())


def _sample(file: Path) -> Hashable:
    if not file.is_file():
        return None
    size, samples = file.stat().st_size, hashlib.sha256()
    with file.open("rb") as stream:
        for start in (0, size // 2, max(size - _SAMPLE, 0)):
            stream.seek(start)
            samples.update(stream.read(_SAMPLE))
    return samples.digest()


def _digest(file: Path) -> Hashable:
    return sha256(file) if file.is_file() else None
