"""Protobuf's text format, as far as a configuration needs it: fields, blocks, lists, strings."""

from __future__ import annotations

from collections.abc import Sequence

_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"})


def text(value: str) -> str:
    """A quoted string."""
    return f'"{value.translate(_ESCAPES)}"'


def values(numbers: Sequence[int]) -> str:
    """A list of numbers."""
    return f"[{', '.join(map(str, numbers))}]"


def field(name: str, value: str) -> str:
    """A line of its own: a name and a number, a quoted string, an enum's word or a list."""
    return f"{name}: {value}\n"


def block(name: str, content: str) -> str:
    """A message: its fields, indented, between braces."""
    return f"{name} {{\n{''.join(f'  {line}' for line in content.splitlines(True))}}}\n"
