"""The reference of every command, read from the functions and options that run."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

import typer
from typer.models import ArgumentInfo, OptionInfo

from fmtool.cli import app as whole

_HEAD = """# Commands

Made from the command line itself, as `fmtool VERB --help` shows it. Results go to stdout,
everything else to stderr; [exit codes](exit-codes.md) are the same for all. `fmtool --version`
prints the version.
"""
_SIMPLE = {str: "text", int: "whole number", float: "number", Path: "path", bool: ""}


class Parameter(NamedTuple):
    """An argument or option: its names, what it takes, its default and its help."""

    names: tuple[str, ...]
    takes: str
    default: str
    what: str


def walk(app: typer.Typer, words: str = "fmtool") -> Iterator[tuple[str, Any]]:
    """Each command that can be run: the words that call it, and its function."""
    for command in app.registered_commands:
        yield f"{words} {command.name}", command.callback
    for group in app.registered_groups:
        if group.typer_instance is not None:
            yield from walk(group.typer_instance, f"{words} {group.name}")


def _takes(hint: Any) -> str:
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        return next(_takes(arm) for arm in typing.get_args(hint) if arm is not type(None))
    if typing.get_origin(hint) is list:
        return f"{_takes(typing.get_args(hint)[0])}, repeatable"
    if typing.get_origin(hint) is tuple:
        return ", ".join(_takes(part) for part in typing.get_args(hint))
    if isinstance(hint, type) and issubclass(hint, Enum):
        return " or ".join(f"`{member.value}`" for member in hint)
    return _SIMPLE[hint]


def _default(value: Any) -> str:
    if value is inspect.Parameter.empty:
        return "required"
    if value is None or value is False or value in ([], ()):
        return ""
    value = getattr(value, "value", value)
    return f"`{', '.join(map(str, value)) if isinstance(value, list | tuple) else value}`"


def parameters(function: Any) -> Iterator[Parameter]:
    """What a command takes, arguments and options in their order."""
    hints = typing.get_type_hints(function, include_extras=True)
    for name, parameter in inspect.signature(function).parameters.items():
        hint, *extra = typing.get_args(hints[name])
        found = next(e for e in extra if isinstance(e, ArgumentInfo | OptionInfo))
        if isinstance(found, ArgumentInfo):
            names: tuple[str, ...] = (str(found.metavar or name).upper(),)
        else:
            # Typer's first positional is called `default`, also where it is a name.
            said = (found.default, *(found.param_decls or ()))
            names = tuple(s for s in said if isinstance(s, str) and s.startswith("-"))
            names = names or ("--" + name.replace("_", "-"),)
        yield Parameter(names, _takes(hint), _default(parameter.default), found.help or "")


def _code(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")


def page() -> str:
    """The reference page of all commands, as Markdown."""
    parts = [_HEAD]
    for words, function in walk(whole):
        parts.append(f"## {words}\n\n{inspect.cleandoc(function.__doc__ or '')}\n")
        rows = [
            f"| {_code(p.names)} | {p.takes} | {p.default} | {_cell(p.what)} |"
            for p in parameters(function)
        ]
        if rows:
            parts.append("| name | takes | default | what |\n|---|---|---|---|\n" + "\n".join(rows))
            parts.append("")
    return "\n".join(parts)
