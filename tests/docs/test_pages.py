"""Every command and snippet of the documentation is run, page by page, or says why it is not."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

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


NOTEBOOK = ".ipynb"


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


def blocks_of(page: Path) -> Iterator[Block]:
    """The blocks of a Markdown page, in order; a notebook's cells are one, for they go on."""
    if page.suffix == NOTEBOOK:
        cells = json.loads(page.read_text(encoding="utf-8"))["cells"]
        code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
        yield Block(1, "python", "\n".join(code), "")
        return
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


def pages_of(root: Path) -> list[Path]:
    """The README, every page of the documentation and every notebook."""
    pages = [page for ending in (".md", NOTEBOOK) for page in (root / "docs").rglob(f"*{ending}")]
    return [root / "README.md", *sorted(pages)]


def _plain(text: str) -> list[str]:
    numbers = re.sub(r"\d+(\.\d+)?(e[-+]?\d+)?", "#", text)
    return [" ".join(line.split()) for line in numbers.splitlines() if line.strip()]


def missing_line(expected: str, printed: str) -> str | None:
    """The first line of `expected` that `printed` lacks, in order and but for numbers; or None."""
    found = iter(_plain(printed))
    for line in _plain(expected):
        if line != "..." and line not in found:
            return line
    return None


ROOT = Path(__file__).parents[2]
PAGES = {str(p.relative_to(ROOT)): list(blocks_of(p)) for p in pages_of(ROOT)}
CODE = {page: [b for b in found if b.kind in ("shell", "python")] for page, found in PAGES.items()}
QUICK = {
    "docs/tutorials/first-scan.md",
    "docs/explanation/space.md",
    "docs/explanation/n4.md",
    "docs/explanation/conformal.md",
    "docs/explanation/limits.md",
}
LIMIT = 900


def script(page: str) -> str:
    """The page's blocks as one shell script that says which block it is in."""
    parts = ["set -eo pipefail", "trap 'kill $(jobs -p) 2>/dev/null || true' EXIT"]
    for block in PAGES[page]:
        if block.reason or block.kind not in ("shell", "python"):
            continue
        parts.append(f"echo '@@ {block.line}'; echo '@@ {block.line}' >&2")
        if block.kind == "python":
            parts.append(f"python -c {shlex.quote(block.code)}")
        else:
            parts.append(block.code)
    return "\n".join(parts)


def printed(text: str) -> dict[int, str]:
    """What each block printed, by its line."""
    found: dict[int, str] = {}
    for part in text.split("@@ ")[1:]:
        number, _, rest = part.partition("\n")
        found[int(number)] = rest
    return found


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=[] if page in QUICK else pytest.mark.slow)
        for page, found in CODE.items()
        if any(not b.reason for b in found)
    ],
)
@pytest.mark.timeout(LIMIT + 60)
def test_page(page, furnished, programs, tmp_path_factory) -> None:
    if "curl" in script(page) and shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    folder = furnished((ROOT / page).read_text("utf-8"))
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    cache = tmp_path_factory.getbasetemp() / "docs-cache"
    process = subprocess.Popen(
        ["bash", "-c", script(page)],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={
            **os.environ,
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": paths,
            "XDG_CACHE_HOME": str(cache),
            "COLUMNS": "100",
        },
        start_new_session=True,
    )
    try:
        out, err = process.communicate(timeout=LIMIT)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 0, f"{page}\n{out[-3000:]}\n{err[-3000:]}"
    assert "Traceback" not in err, err[-3000:]
    said, also = printed(out), printed(err)
    for before, block in zip(PAGES[page], PAGES[page][1:], strict=False):
        if block.kind == "output":
            everything = said[before.line] + also[before.line]
            lacking = missing_line(block.code, everything)
            assert lacking is None, f"{page}:{block.line}: {lacking!r} is not in\n{everything}"


@pytest.mark.parametrize("page", [page for page, found in CODE.items() if found])
def test_blocks_that_are_not_run_say_why(page) -> None:
    unrun = [b for b in CODE[page] if b.reason]
    assert all(len(b.reason.split()) >= 2 for b in unrun)
    if unrun and len(unrun) == len(CODE[page]):
        pytest.skip(f"{page}: " + "; ".join(f"line {b.line}: {b.reason}" for b in unrun))


def test_a_notebook_has_no_outputs_of_an_earlier_run() -> None:
    pages = [page for page in pages_of(ROOT) if page.suffix == NOTEBOOK]
    assert len(pages) == 2
    for page in pages:
        cells = json.loads(page.read_text(encoding="utf-8"))["cells"]
        assert not [cell for cell in cells if cell.get("outputs")]


def test_an_output_is_compared_but_for_numbers() -> None:
    assert missing_line("a  1.5\n...\nc", "x\na 27\nb\nc 3\nc") is None
    assert missing_line("a\nc", "c\na") == "c"
    assert missing_line("age 3", "sex 3") == "age #"


def test_a_block_is_a_command_python_or_text(tmp_path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "```\nfmtool doctor\n```\n\n<!-- not run: needs a GPU -->\n```sh\nmake x\n```\n"
        "```python\n1\n```\n```\na: b\n```\n<!-- output -->\n```text\nfmtool x\n```\n"
        "1. step\n\n    <!-- not run: needs a PACS -->\n    ```sh\n    ls\n    ```\n"
    )
    found = [(b.line, b.kind, b.reason) for b in blocks_of(page)]
    assert found == [
        (1, "shell", ""),
        (6, "shell", "needs a GPU"),
        (9, "python", ""),
        (12, "text", ""),
        (16, "output", ""),
        (22, "shell", "needs a PACS"),
    ]
