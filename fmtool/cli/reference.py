"""Every option of every verb in one table, read from the verbs' own signatures.

    python -m fmtool.cli.reference FILE

writes the page docs/options.md.
"""

from __future__ import annotations

import sys
import types
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from inspect import Parameter, signature
from pathlib import Path
from typing import Any

import typer
from typer.models import OptionInfo

from fmtool.cli import app

HOMONYMS = {
    "--batch": "scans per step of a training; the sizes that a model is compared, built or "
    "measured at elsewhere",
    "--device": "a training says auto, cpu or cuda, and counts with --devices; a prediction may "
    "name one GPU",
    "--encoder": "an architecture where weights are made (simclr, mae, supervised); the weights "
    "where there are some (finetune, probe)",
    "--engine": "one for a prediction, several for a measurement",
    "--head": "what a scan shows, for predict and preprocess; a fitted head, for export",
    "--json": "a flag that changes what is printed; for bench, a file beside the tables",
    "--out": "a file where a verb makes one (a bundle, a head, a split), else a folder",
    "--precision": "what an engine computes in; for bench several; for a training, what its "
    "network's arithmetic is rounded to",
    "--seed": "must be said where data are made",
    "--state": "one to show; one or both to retry",
    "--task": "one to fit, of a built-in name or a file; several of a bundle's to show",
}
"""Names whose meaning depends on the verb, and how. Everything else means one thing."""


@dataclass(frozen=True)
class Option:
    """An option of a verb.

    Attributes:
        verb: such as "train probe".
        name: the long one.
        short: the short one, or "".
        takes: what follows it; "" for a flag.
        several: whether it may be repeated.
        default: as typed, "required", or "" if it may be absent.
        text: its help.
    """

    verb: str
    name: str
    short: str
    takes: str
    several: bool
    default: str
    text: str


def options(of: typer.Typer = app, before: str = "") -> Iterator[Option]:
    """All options of all verbs."""
    for command in of.registered_commands:
        assert command.callback is not None
        verb = command.name or command.callback.__name__
        yield from _of(f"{before}{verb}", command.callback)
    for group in of.registered_groups:
        assert group.typer_instance is not None
        yield from options(group.typer_instance, f"{before}{group.name} ")


def _of(verb: str, callback: Callable[..., Any]) -> Iterator[Option]:
    for name, parameter in signature(callback, eval_str=True).parameters.items():
        kind, info = _parts(parameter)
        if isinstance(info, OptionInfo):
            words = [word for word in info.param_decls or () if word.startswith("-")]
            long = [word for word in words if word.startswith("--")]
            short = [word for word in words if not word.startswith("--")]
            several = typing.get_origin(kind) is list
            yield Option(
                verb,
                long[0] if long else f"--{name.replace('_', '-')}",
                short[0] if short else "",
                info.metavar or _takes(kind),
                several,
                _default(parameter.default, kind),
                info.help or "",
            )


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
        inner = [_takes(part) for part in typing.get_args(kind)]
        return " ".join(inner)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return "|".join(str(member.value) for member in kind)
    names: dict[Any, str] = {int: "N", float: "X", Path: "PATH", str: "TEXT"}
    return names[kind]


def _default(value: Any, kind: Any) -> str:
    if value is Parameter.empty:
        return "required"
    if value is None or kind is bool:
        return ""
    if isinstance(value, Enum):
        return str(value.value)
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def table() -> str:
    """The table: a row per option and meaning, with the verbs that share it."""
    rows: dict[tuple[str, ...], list[str]] = {}
    for option in sorted(options(), key=lambda option: (option.name, option.verb)):
        name = ", ".join(filter(None, (option.name, option.short)))
        takes = f"{option.takes}, repeatable" if option.several else option.takes
        key = (name, takes, option.default, option.text)
        rows.setdefault(key, []).append(option.verb)
    lines = ["| option | takes | default | of | what |", "|---|---|---|---|---|"]
    for (name, takes, default, text), verbs in rows.items():
        cells = (f"`{name}`", takes, default and _code(default), ", ".join(verbs), text)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _code(default: str) -> str:
    return default if default == "required" else f"`{default}`"


def page() -> str:
    """docs/options.md."""
    meanings = "".join(f"- `{name}`: {what}.\n" for name, what in HOMONYMS.items())
    return (
        "# Every option\n\n"
        "One table of all verbs' options: the same thing has the same name in each. `make tables` "
        "writes it from\nthe verbs themselves. N is a whole number, X any number.\n\n"
        f"{table()}\n## One name, by verb\n\n{meanings}"
    )


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
