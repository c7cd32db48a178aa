"""The text of a new project's file: every key with its value and what it means."""

from __future__ import annotations

import inspect
import json
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields
from typing import Any

from fmtool.errors import InputError
from fmtool.project.sections import SECTIONS, said

_WIDE = 100
_HEAD = """\
What `fmtool train`, `fmtool export` and `fmtool predict` do in this folder. Paths are relative to
it. A key that is left out has the value after "default", or the one that stands here.
"""


def text(
    plans: Mapping[str, Any], found: Iterable[str] = (), notes: Mapping[str, str] | None = None
) -> str:
    """TOML that `fmtool.project.read` reads back as the same plans.

    Args:
        plans: of each section, by its name in `SECTIONS`.
        found: sentences for the top.
        notes: what else to say of a key, by its name.

    Raises:
        InputError: for a name of a file that is no UTF-8 text.
    """
    parts = [_comment(_HEAD), *map(_comment, found)]
    for section, kind in SECTIONS.items():
        parts.append("\n")
        if section:
            summary = inspect.cleandoc(kind.__doc__).split("\n\n")[0]
            parts += [f"[{section}]\n", _comment(summary), "\n"]
        words = said(kind)
        for field in fields(kind):
            value = getattr(plans[section], field.name)
            note = words[field.name].rstrip(".")
            if field.default is not MISSING and field.default != value:
                note += f"; default {_toml(field.default)}"
            if notes and field.name in notes:
                note += f"; {notes[field.name]}"
            parts += [_comment(note), f"{field.name} = {_toml(value)}\n"]
    whole = "".join(parts)
    try:
        whole.encode()
    except UnicodeEncodeError:
        raise InputError("a path is no UTF-8 text; rename what it names") from None
    return whole


def _comment(sentence: str) -> str:
    sentence = f"{sentence[:1].upper()}{sentence[1:]}"
    lines = textwrap.wrap(sentence, _WIDE - 2, break_long_words=False, break_on_hyphens=False)
    return "".join(f"# {line}\n" for line in lines)


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return repr(value)
