"""The reference of every command: a table per verb."""

from __future__ import annotations

import inspect

from documentation.verbs import table, taken, walk

_HEAD = """# Commands

Made from the command line itself, as `fmtool VERB --help` shows it. Results go to stdout,
everything else to stderr; [exit codes](exit-codes.md) are the same for all. `fmtool --version`
prints the version. N is a whole number, X any number.
"""


def page() -> str:
    """The reference page of all commands, as Markdown."""
    parts = [_HEAD]
    for verb, function in walk():
        parts.append(f"## fmtool {verb}\n\n{inspect.cleandoc(function.__doc__ or '')}\n")
        if rows := [one.row for one in taken(verb, function)]:
            parts.append(table(("name", "takes", "default", "what"), rows))
    return "\n".join(parts)
