"""Every verb and what it takes, read from the functions that run; the reference of commands."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from inspect import Parameter, signature
from pathlib import Path
from typing import Any

import typer
from typer.models import ArgumentInfo, OptionInfo

from fmtool.cli import app

REQUIRED = "required"


@dataclass(frozen=True)
class Taken:
    """An argument or an option of a verb.

    Attributes:
        verb: such as "train probe".
        name: the long one of an option; in capitals, of an argument.
        short: the short one, or "".
        takes: what follows an option; "" for a flag.
        several: whether it may be repeated.
        default: as typed, `REQUIRED`, or "" if it may be absent.
        text: its help.
    """

    verb: str
    name: str
    short: str
    takes: str
    several: bool
    default: str
    text: str

    @property
    def names(self) -> str:
        """All its names, as code."""
        return ", ".join(f"`{name}`" for name in (self.name, self.short) if name)

    @property
    def row(self) -> tuple[str, str, str, str]:
        """What a table says of it: names, what it takes, its default, its help."""
        takes = f"{self.takes}, repeatable" if self.several else self.takes
        default = self.default if self.default in ("", REQUIRED) else f"`{self.default}`"
        return self.names, takes, default, self.text


def walk(of: typer.Typer = app, before: str = "") -> Iterator[tuple[str, Callable[..., Any]]]:
    """Each verb that can be run, and its function."""
    for command in of.registered_commands:
        assert command.callback is not None
        yield f"{before}{command.name or command.callback.__name__}", command.callback
    for group in of.registered_groups:
        assert group.typer_instance is not None
        alone = group.typer_instance.registered_callback
        if alone is not None and alone.callback is not None and alone.invoke_without_command:
            yield f"{before}{group.name}", alone.callback
        yield from walk(group.typer_instance, f"{before}{group.name} ")


def taken(verb: str, function: Callable[..., Any]) -> Iterator[Taken]:
    """What a verb takes, in its order."""
    for name, parameter in signature(function, eval_str=True).parameters.items():
        if parameter.annotation is typer.Context:
            continue
        kind, info = _parts(parameter)
        short = ""
        if isinstance(info, OptionInfo):
            # Typer's first positional is called `default`, also where it is a name.
            said = (info.default, *(info.param_decls or ()))
            words = [word for word in said if isinstance(word, str) and word.startswith("-")]
            long = [word for word in words if word.startswith("--")]
            short = next((word for word in words if not word.startswith("--")), "")
            shown = long[0] if long else f"--{name.replace('_', '-')}"
        else:
            assert isinstance(info, ArgumentInfo)
            shown = str(info.metavar or name).upper()
        yield Taken(
            verb,
            shown,
            short,
            info.metavar or _takes(kind),
            typing.get_origin(kind) is list,
            _default(parameter.default, kind),
            info.help or "",
        )


def options() -> Iterator[Taken]:
    """All options of all verbs."""
    for verb, function in walk():
        yield from (one for one in taken(verb, function) if one.name.startswith("--"))


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(map(_cell, line))} |\n" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")


def _parts(parameter: Parameter) -> tuple[Any, Any]:
    """A parameter's type without None, and what typer knows of it."""
    kind, *known = typing.get_args(parameter.annotation) or (parameter.annotation, None)
    if isinstance(kind, types.UnionType):
        (kind,) = (part for part in typing.get_args(kind) if part is not types.NoneType)
    return kind, known[0]


def _takes(kind: Any) -> str:
    if kind is bool:
        return ""
    if typing.get_origin(kind) in (list, tuple):
        return " ".join(_takes(part) for part in typing.get_args(kind))
    if typing.get_origin(kind) is typing.Literal:
        return " | ".join(typing.get_args(kind))
    if isinstance(kind, type) and issubclass(kind, Enum):
        return " | ".join(str(member.value) for member in kind)
    names: dict[Any, str] = {int: "N", float: "X", Path: "PATH", str: "TEXT"}
    return names[kind]


def _default(value: Any, kind: Any) -> str:
    if value is Parameter.empty:
        return REQUIRED
    if value is None or kind is bool:
        return ""
    if isinstance(value, Enum):
        return str(value.value)
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


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
