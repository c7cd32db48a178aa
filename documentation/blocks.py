"""Fenced blocks of a page: which are commands, which are Python, and why some are not run.

A block is run unless the line before its fence is `<!-- not run: REASON -->`. A `text` block with
`<!-- output -->` before it is what the commands before it print: numbers may differ, and
`...` stands for any lines.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_FENCE = re.compile(r"^\s*(`{3,})(\w*)")
_COMMENT = re.compile(r"^\s*<!--\s*(.*?)\s*-->$")
_COMMANDS = {"fmtool", "python", "python3", "pip", "make", "curl", "torchrun", "srun", "sbatch"} | {
    "podman",
    "install",
    "useradd",
    "systemctl",
    "pytest",
    "apt-get",
    "git",
}


class Block(NamedTuple):
    """A fenced block.

    Attributes:
        line: of its fence, from 1.
        kind: "shell", "python", "output" (of the commands before it) or "text".
        code: its lines.
        reason: why it is not run; empty if it is.
    """

    line: int
    kind: str
    code: str
    reason: str


def _kind(language: str, code: str, comment: str) -> str:
    if language == "python":
        return "python"
    if language in ("sh", "bash", "console"):
        return "shell"
    if comment == "output":
        return "output"
    words = {line.split()[0] for line in code.splitlines() if line.strip()}
    return "shell" if not language and words & _COMMANDS else "text"


def of(page: Path) -> Iterator[Block]:
    """The blocks of a Markdown page, in order."""
    lines = page.read_text(encoding="utf-8").splitlines()
    at = 0
    while at < len(lines):
        opening = _FENCE.match(lines[at])
        if not opening:
            at += 1
            continue
        end = next(i for i in range(at + 1, len(lines)) if lines[i].strip() == opening[1])
        said = _COMMENT.match(lines[at - 1]) if at else None
        comment, code = said[1] if said else "", textwrap.dedent("\n".join(lines[at + 1 : end]))
        reason = comment.removeprefix("not run:").strip() if comment.startswith("not run:") else ""
        yield Block(at + 1, _kind(opening[2], code, comment), code, reason)
        at = end + 1


def pages(root: Path) -> list[Path]:
    """The README and every page of the documentation."""
    return [root / "README.md", *sorted((root / "docs").rglob("*.md"))]


def _plain(text: str) -> list[str]:
    numbers = re.sub(r"\d+(\.\d+)?(e[-+]?\d+)?", "#", text)
    return [" ".join(line.split()) for line in numbers.splitlines() if line.strip()]


def missing(expected: str, printed: str) -> str | None:
    """The first line of `expected` that `printed` lacks, in order and but for numbers; or None."""
    found = iter(_plain(printed))
    for line in _plain(expected):
        if line != "..." and line not in found:
            return line
    return None
