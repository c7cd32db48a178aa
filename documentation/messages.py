"""The references of exit codes and of error messages, read from the errors and their `raise`s."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from documentation.verbs import table
from fmtool import errors

_MEANING = {
    0: "all was done",
    1: "one or more inputs failed, or a file could not be written; the others are done",
    2: "the command was wrong; nothing was done",
    3: "this machine cannot do what was asked: no GPU, no engine, a missing extra",
    130: "ended by SIGINT (Ctrl-C); what was finished is kept",
    143: "ended by SIGTERM; what was finished is kept",
}


def kinds() -> Iterator[type[errors.FmtoolError]]:
    """The errors a user can cause, in the order of their file."""
    for _, found in inspect.getmembers(errors, inspect.isclass):
        if issubclass(found, errors.FmtoolError):
            yield found


def exit_codes() -> str:
    """The reference page of exit codes, as Markdown."""
    by_code: dict[int, list[str]] = {}
    for kind in kinds():
        if kind is not errors.FmtoolError:
            by_code.setdefault(kind.exit_code, []).append(kind.__name__)
    rows = [
        (str(code), meaning, ", ".join(f"`{name}`" for name in by_code.get(code, [])))
        for code, meaning in _MEANING.items()
    ]
    return f"""# Exit codes

The same for every command. A mistake of the user is one sentence on stderr that begins with \
`error:`; a traceback is a defect of fmtool.

{table(("code", "meaning", "raised as"), rows)}
The sentences themselves: [error messages](errors.md).
"""


_PACKAGES = ("fmtool", "runtime", "training", "export")
_HEAD = """# Error messages

Read from the code: each sentence that ends a command, by its kind. Capitals stand for what the
message names. Search this page, or the site, for a few words of yours.
"""


class Message(NamedTuple):
    """One sentence a command may end with: its kind, its words, and the module that says it."""

    kind: str
    text: str
    module: str


def _words(node: ast.expr) -> str | None:
    """The words of a string or an f-string; what is put in becomes a name in capitals."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        parts = []
        for value in node.values:
            if isinstance(value, ast.FormattedValue):
                names = re.findall(r"[a-z_]+", ast.unparse(value.value).lower())
                parts.append(names[-1].strip("_").upper() if names else "...")
            else:
                parts.append(_words(value) or "")
        return "".join(parts)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = _words(node.left), _words(node.right)
        return None if left is None and right is None else f"{left or '...'}{right or '...'}"
    return None


def of_file(path: Path, module: str, names: set[str]) -> Iterator[Message]:
    """The messages of one source file, of the error classes that are named."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not (isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and node.exc.args):
            continue
        kind = ast.unparse(node.exc.func).rsplit(".", 1)[-1]
        text = _words(node.exc.args[0])
        if kind in names and text and len(text.split()) > 2:
            yield Message(kind, " ".join(text.split()), module)


def of_tree(root: Path) -> list[Message]:
    """All messages of the packages below `root`, sorted by kind and words."""
    names = {kind.__name__ for kind in kinds()}
    found = set[Message]()
    for package in _PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            module = ".".join(path.relative_to(root).with_suffix("").parts)
            found.update(of_file(path, module, names))
    return sorted(found, key=lambda m: (m.kind, m.text.lower()))


def page(root: Path) -> str:
    """The reference page of error messages, as Markdown."""
    messages, parts = of_tree(root), [_HEAD]
    for kind in kinds():
        mine = [m for m in messages if m.kind == kind.__name__]
        if not mine:
            continue
        said = (inspect.getdoc(kind) or "").split("\n\n")[0].replace("\n", " ")
        parts += [f"## {kind.__name__}", "", f"{said} Exit code {kind.exit_code}.", ""]
        for message in mine:
            text = re.sub(r"([<>*_\[\]|\\])", r"\\\1", message.text).replace("`", "'")
            parts.append(f"- {text} <small>(`{message.module}`)</small>")
        parts.append("")
    return "\n".join(parts)
