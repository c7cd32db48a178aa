"""The wheel and the source archive, built twice and compared byte for byte.

The second build is of the first one's source archive, unpacked elsewhere, at another time and
under another umask: so the archive holds all that the wheel needs, and neither depends on the
place, the clock or the permissions of the one who builds it.
"""

from __future__ import annotations

import os
import tarfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.packages.environment import UV, Failed, run

EPOCH = "1700000000"
"""SOURCE_DATE_EPOCH of both builds, unless the caller's environment has another."""

LARGEST_WHEEL = 20e6
"""Bytes: with the demonstration bundle in it."""

_BENCHMARKS = ("__init__.py", "bench", "robustness", "shared")
WHEEL = ("fmtool", "runtime", "training", "export", *(f"benchmarks/{n}" for n in _BENCHMARKS))
"""All that the wheel holds beside its own facts: what a bundle's user needs, no other research."""


@dataclass(frozen=True)
class Packages:
    """Two files that a build wrote."""

    wheel: Path
    sdist: Path


def build(source: Path, folder: Path) -> Packages:
    """Build both from `source` into `folder`, with the build requirements of pyproject.toml."""
    environment = {"SOURCE_DATE_EPOCH": EPOCH, **os.environ}
    run([*UV, "build", "--quiet", "--out-dir", folder, source], environment=environment)
    return Packages(_only(folder, "*.whl"), _only(folder, "*.tar.gz"))


def build_twice(root: Path, scratch: Path) -> Packages:
    """Build the repository at `root`, then what that built.

    Raises:
        Failed: if any byte differs, or the wheel is too large or holds what is not of `WHEEL`.
    """
    first = build(root, scratch / "first")
    with tarfile.open(first.sdist) as archive:
        archive.extractall(scratch / "unpacked", filter="data")
    before = os.umask(0o077)
    try:
        second = build(_only(scratch / "unpacked", "*"), scratch / "second")
    finally:
        os.umask(before)
    same(first.sdist, second.sdist)
    same(first.wheel, second.wheel)
    with zipfile.ZipFile(first.wheel) as archive:
        holds(archive.namelist())
    if first.wheel.stat().st_size > LARGEST_WHEEL:
        raise Failed(f"the wheel has more than {LARGEST_WHEEL / 1e6:.0f} MB")
    return first


def same(one: Path, other: Path) -> None:
    """Refuse two files that differ in their name or in any byte."""
    if one.name != other.name or one.read_bytes() != other.read_bytes():
        raise Failed(f"two builds of {one.name} differ; unpack both and compare them")


def holds(names: Sequence[str]) -> None:
    """Refuse a wheel's list of files unless each part of `WHEEL` is there, and nothing else."""
    parts = {part: [n for n in names if f"{n}/".startswith(f"{part}/")] for part in WHEEL}
    known = {name for found in parts.values() for name in found}
    more = [name for name in names if name not in known and ".dist-info/" not in name]
    absent = [part for part, found in parts.items() if not found]
    if more or absent:
        told = [*(f"holds {name}" for name in more[:8]), *(f"lacks {part}" for part in absent)]
        raise Failed(f"the wheel {', '.join(told)}; see tool.hatch in pyproject.toml")


def _only(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        raise Failed(f"{folder} holds {len(found)} of {pattern}, not one")
    return found[0]
