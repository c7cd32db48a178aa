"""Which code prepares a scan: what tells volumes made by other code from today's.

A release's number does not change while the code of a development checkout does, and a cohort
prepared in part by each would be two sites in one. So that nothing is forgotten, the files are
found: all of the rooms that read, prepare and judge a scan, and all that those import.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path

from fmtool.files import sha256

_ROOMS = (
    "runtime.preprocess",
    "runtime.quality",
    "runtime.scan",
    "runtime.store",
    "runtime.engines",  # whole, because its libraries are imported by name
)


@cache
def installed(*further: str) -> str:
    """The digest of the code that runs, and of what `further` modules run."""
    packages = {"fmtool", "runtime", *(name.partition(".")[0] for name in further)}
    return digest({name: Path(import_module(name).__path__[0]) for name in packages}, *further)


def digest(roots: dict[str, Path], *further: str) -> str:
    """SHA-256 over the names and contents of `sources`."""
    listing = [f"{name} {sha256(file)}" for name, file in sorted(sources(roots, *further).items())]
    return hashlib.sha256("\n".join(listing).encode()).hexdigest()


def sources(roots: dict[str, Path], *further: str) -> dict[str, Path]:
    """The files that decide a prepared volume or what is measured of it, by module name.

    Args:
        roots: the folder of each package whose code counts, by the package's name.
        further: modules of theirs that count, too.
    """
    found: dict[str, Path] = {}
    left = [*further, *(name for room in _ROOMS for name in _within(room, roots))]
    while left:
        name = left.pop()
        file = _file(name, roots)
        if file is None or name in found:
            continue
        found[name] = file
        left += _imported(file)
    return found


def _within(room: str, roots: dict[str, Path]) -> Iterator[str]:
    root, *rest = room.split(".")
    folder = roots[root].joinpath(*rest)
    yield room
    for file in folder.rglob("*.py"):
        parts = file.relative_to(folder).with_suffix("").parts
        yield ".".join((room, *parts)).removesuffix(".__init__")


def _file(name: str, roots: dict[str, Path]) -> Path | None:
    root, *rest = name.split(".")
    if root not in roots:
        return None
    place = roots[root].joinpath(*rest)
    return next((f for f in (place / "__init__.py", place.with_suffix(".py")) if f.is_file()), None)


def _imported(file: Path) -> Iterator[str]:
    """The names that a file imports anywhere in it, but for mypy; some are of modules."""
    left: list[ast.AST] = [ast.parse(file.read_bytes())]
    while left:
        node = left.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            left += node.orelse
        else:
            left += ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
