"""The reference of exit codes, read from the errors that carry them."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

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


def page() -> str:
    """The reference page of exit codes, as Markdown."""
    by_code: dict[int, list[str]] = {}
    for kind in kinds():
        if kind is not errors.FmtoolError:
            by_code.setdefault(kind.exit_code, []).append(kind.__name__)
    rows = [
        f"| {code} | {meaning} | {', '.join(f'`{n}`' for n in by_code.get(code, []))} |"
        for code, meaning in _MEANING.items()
    ]
    return "\n".join(
        [
            "# Exit codes",
            "",
            "The same for every command. A mistake of the user is one sentence on stderr that "
            "begins with `error:`; a traceback is a defect of fmtool.",
            "",
            "| code | meaning | raised as |",
            "|---|---|---|",
            *rows,
            "",
            "The sentences themselves: [error messages](errors.md).",
            "",
        ]
    )
