"""A project's file, checked: every key is known and of its kind, or is named with the right one."""

from __future__ import annotations

import difflib
import math
import tomllib
from collections.abc import Iterator
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from fmtool.errors import InputError
from fmtool.project.sections import SECTIONS

MAX_BYTES = 256 << 10


def read(path: Path) -> dict[str, Any]:
    """Each section of the file, by its name in `SECTIONS`, with defaults for what it leaves out.

    Raises:
        InputError: naming every unknown key with the nearest right one, or the first key whose
            value cannot be.
    """
    data = _toml(path)
    tables = {name: data.pop(name) for name in SECTIONS if name and name in data}
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise InputError(f"{path}: {name} is a section, [{name}], and not a value")
    tables = {"": data, **tables}
    unknown = list(_unknown(tables))
    if unknown:
        raise InputError(f"{path}: {'; '.join(unknown)}")
    try:
        return {name: _section(name, tables.get(name, {})) for name in SECTIONS}
    except ValueError as error:
        raise InputError(f"{path}: {error}") from None


def _toml(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"{path} is larger than {MAX_BYTES >> 10} KiB: not a project's file")
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); check it") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not TOML ({error!s:.200}); mend it") from None


def _names(section: str) -> list[str]:
    return [field.name for field in fields(SECTIONS[section])]


def _unknown(tables: dict[str, dict[str, Any]]) -> Iterator[str]:
    """A sentence for each key that no section has where it stands."""
    for section, table in tables.items():
        known = _names(section)
        for key, value in table.items():
            if key in known:
                continue
            if section == "" and isinstance(value, dict):
                near = _nearest(key, [name for name in SECTIONS if name])
                yield f"unknown section [{key:.60}]; the nearest is [{near}]"
                continue
            where = f" in [{section}]" if section else ""
            homes = [
                f"[{other}]" if other else "the top" for other in SECTIONS if key in _names(other)
            ]
            if homes:
                yield f"{key!r}{where or ' at the top'} belongs to {' or '.join(homes)}"
            else:
                yield f"unknown key {key!r:.60}{where}; the nearest is {_nearest(key, known)!r}"


def _nearest(word: str, known: list[str]) -> str:
    return difflib.get_close_matches(word, known, n=1, cutoff=0.0)[0]


def _section(section: str, table: dict[str, Any]) -> Any:
    kind = SECTIONS[section]
    hints, found = get_type_hints(kind), {}
    for field in fields(kind):
        where = f"[{section}] {field.name}" if section else field.name
        if field.name in table:
            found[field.name] = _value(where, table[field.name], hints[field.name])
        elif field.default is MISSING:
            raise ValueError(
                f"the key {field.name!r} is missing; `fmtool init` writes a whole file"
            )
    return kind(**found)


def _value(where: str, value: Any, hint: Any) -> Any:
    if get_origin(hint) is tuple:
        kinds = get_args(hint)
        every = kinds[1] is Ellipsis
        if not isinstance(value, list) or not (every or len(value) == len(kinds)):
            many = "a list" if every else f"a list of {len(kinds)}"
            raise ValueError(f"{where} is {value!r:.60}; it is {many}, in brackets")
        every_kind = [kinds[0]] * len(value) if every else kinds
        pairs = zip(value, every_kind, strict=True)
        return tuple(_value(f"{where}, value {i},", v, k) for i, (v, k) in enumerate(pairs, 1))
    if get_origin(hint) is Literal:
        choices = get_args(hint)
        if value not in choices:
            raise ValueError(f"{where} is {value!r:.60}; there are {', '.join(choices)}")
        return value
    if hint is float and type(value) is int:
        value = float(value)
    if type(value) is not hint or (hint is float and not math.isfinite(value)):
        words = {
            bool: "true or false",
            int: "a whole number",
            float: "a number",
            str: 'a text, in "quotes"',
        }
        raise ValueError(f"{where} is {value!r:.60}; it is {words[hint]}")
    return value
