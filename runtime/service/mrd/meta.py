"""An image's attributes: names and their values as XML, which may come from anybody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from xml.parsers import expat
from xml.sax.saxutils import escape

MAX_VALUES = 10_000

Meta = dict[str, list[str]]
"""Values, all text, by name."""

_END = b"</ismrmrdMeta>"


def read(attributes: bytes) -> Meta:
    """The values by name; a name that comes again has the values of both.

    Raises:
        ValueError: if it is no such XML; one with a document type, which could make entities, is
            none.
    """
    text = attributes.split(b"\0", 1)[0].strip()
    found: Meta = {}
    if not text:
        return found
    path: list[str] = []
    name: list[str] = []
    value: list[str] = []
    count = 0

    def start(tag: str, _: object) -> None:
        path.append(tag)
        if len(path) > 3 or path[0] != "ismrmrdMeta":
            raise ValueError("not the attributes of an image")
        if tag == "meta":
            name.clear()
        value.clear()

    def end(tag: str) -> None:
        nonlocal count
        if tag == "name":
            name[:] = ["".join(value)]
        elif tag == "value" and name:
            count += 1
            if count > MAX_VALUES:
                raise ValueError(f"more than {MAX_VALUES} values")
            found.setdefault(name[0], []).append("".join(value))
        path.pop()

    def refuse(*_: object) -> None:
        raise ValueError("attributes with a document type")

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = value.append
    parser.StartDoctypeDeclHandler = refuse
    parser.buffer_text = True
    try:
        parser.Parse(text, True)
    except (expat.ExpatError, LookupError, UnicodeError):  # of an encoding that nobody knows
        raise ValueError("attributes that are no XML") from None
    return found


def write(meta: Mapping[str, Sequence[str]]) -> bytes:
    """The XML of values by name."""
    entries = (
        f"<meta><name>{escape(name)}</name>"
        + "".join(f"<value>{escape(value)}</value>" for value in values)
        + "</meta>"
        for name, values in meta.items()
    )
    head = '<?xml version="1.0" encoding="UTF-8"?>\n<ismrmrdMeta>'
    return (head + "".join(entries)).encode() + _END


def keeping_geometry(attributes: bytes) -> bytes:
    """Attributes that came, with nothing changed but that their geometry is to be kept.

    What is not the XML expected stays as it is.
    """
    if not attributes.strip(b"\0 \r\n\t"):
        return write({"Keep_image_geometry": ["1"]})
    before, end, after = attributes.rpartition(_END)
    if not end or b"Keep_image_geometry" in before:
        return attributes
    return before + b"<meta><name>Keep_image_geometry</name><value>1</value></meta>" + end + after


def first(meta: Mapping[str, Sequence[str]], *names: str) -> str:
    """The first value of the first name that has one; "" if none has."""
    return next((meta[n][0].strip() for n in names if meta.get(n) and meta[n][0].strip()), "")
