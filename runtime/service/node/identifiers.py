"""The identifiers of an encoded object, found without making anything of the rest.

A library makes an object of a kilobyte of every item of a sequence, and an item may be of eight
bytes: what is passed over here is counted past, not built. PS3.5, 7 has the encoding.
"""

from __future__ import annotations

import struct

_WANTED = {
    0x00080016: "SOPClassUID",
    0x00080018: "SOPInstanceUID",
    0x00100020: "PatientID",
    0x0020000D: "StudyInstanceUID",
    0x0020000E: "SeriesInstanceUID",
}
_LAST = max(_WANTED)  # an object's tags are in ascending order
_MOST_BYTES = 1024  # of a value; 64 characters are allowed
_MOST_DEPTH = 64
_LONG = frozenset((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR"))
_LONG |= {b"UT", b"UV"}
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_UNDEFINED = 0xFFFFFFFF


class NotAnObject(Exception):
    """Bytes that are no DICOM object, or one without the identifiers it must have."""


def identifiers(data: bytes, implicit: bool) -> dict[str, str]:
    """The values of `_WANTED` by keyword, from a little-endian data set or the start of one.

    Raises:
        NotAnObject: if one but the patient's is missing, or the bytes are no data set.
    """
    found, at = {"PatientID": ""}, 0
    while at + 8 <= len(data):
        tag, vr, length, at = _element(data, at, implicit)
        if tag > _LAST:
            break
        if length == _UNDEFINED:
            at = _after(data, at, implicit or vr == b"UN")
            continue
        if tag in _WANTED:
            if length > _MOST_BYTES or at + length > len(data):
                raise NotAnObject
            found[_WANTED[tag]] = data[at : at + length].decode("latin-1").strip("\0 ")
        at += length
    if not all(found.get(keyword) for keyword in _WANTED.values() if keyword != "PatientID"):
        raise NotAnObject
    return found


def _element(data: bytes, at: int, implicit: bool) -> tuple[int, bytes, int, int]:
    """An element's tag, its VR if it says one, its length, and where its value begins."""
    try:
        group, number, length = struct.unpack_from("<HHL", data, at)
        tag, vr = group << 16 | number, data[at + 4 : at + 6]
        if implicit or group == 0xFFFE or not b"AA" <= vr <= b"ZZ":
            return tag, b"", length, at + 8
        if vr in _LONG:
            return tag, vr, struct.unpack_from("<L", data, at + 8)[0], at + 12
        return tag, vr, struct.unpack_from("<H", data, at + 6)[0], at + 8
    except struct.error:
        raise NotAnObject from None


def _after(data: bytes, at: int, implicit: bool) -> int:
    """Where a sequence of undefined length that begins at `at` is over."""
    within = [implicit]  # for each sequence that is open, whether it has implicit VRs
    while within:
        tag, vr, length, at = _element(data, at, within[-1])
        if tag == _SEQUENCE_END:
            within.pop()
        elif tag in (_ITEM, _ITEM_END):
            at += 0 if length == _UNDEFINED else length
        elif length != _UNDEFINED:
            at += length
        elif len(within) == _MOST_DEPTH:
            raise NotAnObject
        else:
            within.append(within[-1] or vr == b"UN")
    return at
