"""Scans that a table lists twice, under one name or two: they would leak across splits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from fmtool.bundle import sha256


def duplicates(files: Sequence[tuple[int, Path]]) -> list[tuple[int, str]]:
    """Line number and sentence for each file whose bytes an earlier line has already.

    Only files of equal size are read; folders are compared by their path.

    Args:
        files: line number and existing file or folder.
    """
    sizes: dict[int, list[tuple[int, Path]]] = defaultdict(list)
    for line, file in files:
        sizes[file.stat().st_size].append((line, file))
    problems = []
    for group in sizes.values():
        seen: dict[str, int] = {}
        for line, file in group if len(group) > 1 else ():
            digest = sha256(file) if file.is_file() else str(file.resolve())
            if digest in seen:
                problems.append((line, f"{file.name} is the same image as on line {seen[digest]}"))
            seen.setdefault(digest, line)
    return problems
