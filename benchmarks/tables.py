"""Write the tables of docs/ that the code knows: the engines, and what `fmtool export` writes.

    python -m benchmarks.tables

`make tables` runs it, and writes docs/options.md too.
"""

from __future__ import annotations

from pathlib import Path

from export import targets
from runtime.engines import table

DOCS = Path(__file__).parents[1] / "docs"


def replaced(page: str, made: str) -> str:
    """`page` with the table of `made`'s header exchanged for it.

    Raises:
        ValueError: if the page has no such table.
    """
    lines = page.splitlines(keepends=True)
    first = lines.index(made.splitlines(keepends=True)[0])
    last = next(
        (i for i, line in enumerate(lines[first:], first) if not line.startswith("|")), len(lines)
    )
    return "".join([*lines[:first], made, *lines[last:]])


def main() -> None:
    """Both pages."""
    for name, made in (("running.md", table.markdown()), ("export.md", targets.table())):
        page = DOCS / name
        page.write_text(replaced(page.read_text(encoding="utf-8"), made), encoding="utf-8")


if __name__ == "__main__":
    main()
