"""The mini header that a Siemens image carries among its attributes: parameters in braces, base64.

<ParamString."ImageTypeValue3">{ "M" }      a zero, and an empty text, is an empty brace
<ParamArray."ImageTypeValue4"> { ... <Default> <ParamString."">{ } { "DIS2D" } }
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping

MAX_BYTES = 1 << 20

_WORD = r'(?:"[^"]*+"|[^\s{}"<>]++)'
_BRACE = rf"\{{\s*+((?:{_WORD}\s*+)*+)\}}"
_ONE = re.compile(rf'<Param(String|Long|Double|Bool|Choice)\."([^"]{{1,64}})">\s*+{_BRACE}')
_ARRAY = re.compile(
    r'<ParamArray\."([^"]{1,64})">\s*+\{(?:\s*+<(?:Default|Max|Min)Size>\s*+\d++)*+'
    rf'\s*+<Default>\s*+<Param(\w+)\."[^"]{{0,64}}">\s*+{_BRACE}((?:\s*+{_BRACE})*+)\s*+\}}'
)
_INNER = re.compile(_BRACE)
_EACH = re.compile(_WORD)
_MAPS = {"DICOM": re.compile(r'<ParamMap\."DICOM">\s*+\{'), "CONTROL": re.compile(
    r'<ParamMap\."CONTROL">\s*+\{')}  # fmt: skip
_ZERO = {"String": "", "Long": "0", "Double": "0", "Bool": "false", "Choice": ""}


def decoded(value: str) -> str:
    """The mini header's text.

    Raises:
        ValueError: if it is not base64 of text, or too large.
    """
    if len(value) > 2 * MAX_BYTES:
        raise ValueError("a mini header that is too large")
    try:
        return base64.b64decode(value, validate=False).decode("utf-8", "replace")
    except binascii.Error:
        raise ValueError("a mini header that is not base64") from None


def encoded(text: str) -> str:
    """The text as an image carries it."""
    return base64.b64encode(text.encode()).decode()


def values(text: str) -> dict[str, list[str]]:
    """All parameters by name, the first of each; an array's values, and a zero for an empty one."""
    found: dict[str, list[str]] = {}
    for match in _ARRAY.finditer(text):
        inner = [w for group in _INNER.findall(match[4]) for w in _words(group)]
        found.setdefault(match[1], inner)
    for match in _ONE.finditer(text):
        found.setdefault(match[2], _words(match[3]) or [_ZERO[match[1]]])
    return found


def changed(text: str, said: Mapping[str, str], arrays: Mapping[str, str]) -> str:
    """The text with other values; a parameter that is not there is put into the DICOM map.

    Args:
        text: as `decoded`.
        said: values by name; whole numbers are written as such.
        arrays: the one value that an array is to have.
    """
    for name, value in said.items():
        word = value if _is_number(value) else f'"{_clean(value)}"'
        brace = "{ }" if value in ("", "0") else f"{{ {word} }}"
        kind = "Long" if _is_number(value) else "String"
        pattern = re.compile(rf'(<Param\w++\."{re.escape(name)}">\s*+){_BRACE}')
        text = _put(text, pattern, brace, f'<Param{kind}."{name}">{brace}')
    for name, value in arrays.items():
        default = '<DefaultSize> 1 <MaxSize> 2147483647 <Default> <ParamString."">{ }'
        made = f'<ParamArray."{name}"> {{ {default} {{ "{_clean(value)}" }} }}'
        text = _put(text, re.compile(_ARRAY.pattern.replace('([^"]{1,64})', re.escape(name), 1)),
                    "", made, made)  # fmt: skip
    return text


def without(text: str, name: str) -> str:
    """The text without a parameter."""
    return re.sub(rf'<Param\w++\."{re.escape(name)}">\s*+{_BRACE}\s*+', "", text)


def _put(text: str, place: re.Pattern[str], brace: str, new: str, whole: str = "") -> str:
    if place.search(text):
        return place.sub(lambda m: whole or f"{m[1]}{brace}", text)
    return _MAPS["DICOM"].sub(lambda m: f"{m[0]}\n      {new}", text, count=1)


def _words(inner: str) -> list[str]:
    return [word.strip('"') for word in _EACH.findall(inner)]


def _is_number(value: str) -> bool:
    return value.isascii() and value.isdigit()


def _clean(value: str) -> str:
    return re.sub(r'["{}<>\x00-\x1f]', " ", value)
