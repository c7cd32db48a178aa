"""What a field of a manifest may be; whoever wrote it may be hostile."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

Test = Callable[[Any], bool]
More = Mapping[str, Any]
"""What a part of a manifest has beside the fields that this fmtool knows."""

_LONGEST = 4096  # of any text


def need(fine: bool, where: str, what: str) -> None:
    """Raise ValueError unless it is; `where` and `what` make the sentence."""
    if not fine:
        raise ValueError(f"{where} must be {what}")


def table(value: Any, where: str) -> dict[str, Any]:
    """The value, if it is a table of names."""
    need(isinstance(value, dict), where, "a table of names")
    return dict(value)


def each(value: Any, test: Test) -> bool:
    """Whether it is a table whose values pass the test."""
    return isinstance(value, dict) and all(map(test, value.values()))


def text(value: Any) -> bool:
    """Whether it is a word or more."""
    return words(value) and value != ""


def words(value: Any) -> bool:
    """Whether it is text, or none."""
    return isinstance(value, str) and len(value) <= _LONGEST


def number(value: Any) -> bool:
    """Whether it is one."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def whole(value: Any, least: int = 0, most: int = 1 << 62) -> bool:
    """Whether it is a whole number in a range."""
    return type(value) is int and least <= value <= most


def numbers(value: Any) -> bool:
    """Whether it is a list of some."""
    return isinstance(value, list) and len(value) > 0 and all(map(number, value))


def pair(value: Any) -> bool:
    """Whether it is two numbers, the smaller one first."""
    return numbers(value) and len(value) == 2 and value[0] <= value[1]


def known(cls: type[Any], data: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a dataclass: what has no field of its name goes into `more`."""
    names = {f.name for f in fields(cls)} - {"more"}
    more = {key: value for key, value in data.items() if key not in names}
    return {key: value for key, value in data.items() if key in names} | {"more": more}


def plain(part: Any) -> dict[str, Any]:
    """The fields that have a value, and what `more` there is."""
    own = {f.name: getattr(part, f.name) for f in fields(part) if f.name != "more"}
    return {key: value for key, value in own.items() if value is not None} | dict(part.more)
