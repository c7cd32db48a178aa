"""Sequences of many items as they are stored: explicit VR, little endian (PS3.5, 7.1.2 and 7.5).

Documents name every slice of their source, with its place: as data sets of their own, these items
would be most of what making and writing a document costs.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from functools import cache

from pydicom.charset import convert_encodings
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from runtime.documents.coding import Coded
from runtime.documents.naming import UTF8

Reference = tuple[str, str]
"""SOPClassUID and SOPInstanceUID."""


@cache
def _known(keyword: str) -> tuple[bytes, str]:
    """A tag as it is stored, and its VR."""
    tag = tag_for_keyword(keyword)
    assert tag is not None
    return struct.pack("<HH", tag >> 16, tag & 0xFFFF), dictionary_VR(tag)


def element(keyword: str, value: bytes | str) -> bytes:
    """An element of a VR with a short length, or a sequence of items that are encoded already."""
    tag, vr = _known(keyword)
    data = value if isinstance(value, bytes) else value.encode("ascii")
    if vr == "SQ":
        return tag + struct.pack("<2sHI", b"SQ", 0, len(data)) + data
    if len(data) % 2:
        data += b"\0" if vr == "UI" else b" "
    return tag + struct.pack("<2sH", vr.encode("ascii"), len(data)) + data


def items(parts: Iterable[bytes]) -> bytes:
    """A sequence's items, each of which has its elements in ascending order."""
    return b"".join(struct.pack("<HHI", 0xFFFE, 0xE000, len(part)) + part for part in parts)


def code(concept: Coded) -> bytes:
    """A code sequence's one item; its words are ASCII."""
    value, scheme, meaning = concept
    told = (
        element("CodeValue", value),
        element("CodingSchemeDesignator", scheme),
        element("CodeMeaning", meaning),
    )
    return items([b"".join(told)])


def references(objects: Iterable[Reference]) -> bytes:
    """The items of a sequence of references to objects."""
    return items(
        element("ReferencedSOPClassUID", kind) + element("ReferencedSOPInstanceUID", instance)
        for kind, instance in objects
    )


def study(uid: str, series: Mapping[str, Iterable[Reference]]) -> bytes:
    """The item of a study: its objects by their SeriesInstanceUID (PS3.3, table 10-3b)."""
    held = items(
        element("ReferencedSOPSequence", references(objects)) + element("SeriesInstanceUID", one)
        for one, objects in series.items()
    )
    return items([element("ReferencedSeriesSequence", held) + element("StudyInstanceUID", uid)])


def put(document: Dataset, **sequences: bytes) -> None:
    """Add encoded sequences to a document that is complete but for them; it is written as it is.

    pydicom writes them as they are as long as nobody looks at them in `document`.
    """
    for keyword, value in sequences.items():
        tag = Tag(keyword)
        document[tag] = RawDataElement(tag, "SQ", len(value), value, 0, False, True)
    document.set_original_encoding(False, True, convert_encodings(UTF8))
