"""Every file, module and command of ours that a page names is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OURS = (
    "fmtool", "runtime", "training", "export", "benchmarks", "documentation", "tests", "docs",
    "deploy", "locks",
)  # fmt: skip
FILE = re.compile(rf"`((?:{'|'.join(OURS)})/[\w./-]+)`")
MODULE = re.compile(rf"(?:python -m |`)((?:{'|'.join(OURS[:6])})(?:\.\w+)+)")
ELSEWHERE = {"fmtool.tensorrt", "fmtool.bench", "fmtool.toml"}  # a logger, a format, a file
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]


def absent(text: str) -> list[str]:
    """What `text` names and nobody finds; a module's members are not looked for."""
    files = [name for name in FILE.findall(text) if not re.search("NAME|DIGEST", name)]
    gone = [name for name in files if not (ROOT / name).exists()]
    for name in set(MODULE.findall(text)) - ELSEWHERE:
        path = ROOT / name.replace(".", "/")
        places = path, path.with_suffix(".py"), path.parent.with_suffix(".py")
        member_of = path.parent.parent.with_suffix(".py")  # such as a method of a class
        if not any(place.exists() for place in (*places, member_of)) and not in_package(path):
            gone.append(name)
    return gone


def in_package(path: Path) -> bool:
    """Whether the package above defines or imports a member of that name."""
    init = path.parent / "__init__.py"
    return init.exists() and re.search(rf"\b{path.name}\b", init.read_text("utf-8")) is not None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_names_is_there(page) -> None:
    if page.name != "CHANGELOG.md":  # which tells of the past too
        assert absent(page.read_text("utf-8")) == []


def test_what_is_gone_is_found() -> None:
    text = "`runtime/gone.py`, `python -m benchmarks.gone`, `fmtool.bundle.open`, `docs/`"
    assert absent(text) == ["runtime/gone.py", "benchmarks.gone"]
