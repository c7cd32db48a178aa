"""What the scripts share: their options, what they print and keep, and how long something took."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console
from rich.table import Table

T = TypeVar("T")


def options(doc: str | None, *paths: str, **flags: Any) -> argparse.Namespace:
    """What the command line says.

    Args:
        doc: the script's own, for `--help`.
        paths: that come first; "name?" may be absent, "name*" is any number.
        flags: an option each: its default, its type where it may be absent, or False for a switch;
            a list for as many values; a pair of that and a sentence for `--help`.
    """
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    parser = argparse.ArgumentParser(
        prog=spec and f"python -m {spec.name.removesuffix('.__main__')}",
        description=doc,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for path in paths:
        many = path[-1] if path[-1] in "?*" else None
        parser.add_argument(path.rstrip("?*"), type=Path, nargs=many)
    for name, flag in flags.items():
        value, text = flag if isinstance(flag, tuple) else (flag, None)
        how: dict[str, Any] = {"type": value} if isinstance(value, type) else {"default": value}
        if value is False:
            how["action"] = "store_true"
        elif isinstance(value, list):
            how |= {"type": type(value[0]), "nargs": len(value)}
        elif not isinstance(value, type):
            how["type"] = type(value)
        parser.add_argument(f"--{name.replace('_', '-')}", help=text, **how)
    return parser.parse_args()


def tell(found: Any, file: Path | None, more: Any = None) -> None:
    """Print what was found as JSON, and keep it, or `more` than is printed, where asked."""
    print(json.dumps(found, indent=1, default=float))
    keep(found if more is None else more, file)


def keep(found: Any, file: Path | None) -> None:
    """Write JSON where asked."""
    if file is not None:
        file.write_text(json.dumps(found, indent=1, default=float) + "\n", encoding="utf-8")


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def show(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str], width: int) -> None:
    """Print a table of `columns`: name -> format."""
    table = Table(*columns)
    for row in rows:
        table.add_row(*(form.format(row[key]) for key, form in columns.items()))
    Console(width=width).print(table)


def timed(work: Callable[[], T], clock: Callable[[], float] = time.perf_counter) -> tuple[T, float]:
    """What a piece of work gives, and its seconds."""
    start = clock()
    found = work()
    return found, clock() - start
