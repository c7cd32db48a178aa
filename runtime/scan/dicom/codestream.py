"""What a compressed slice claims of itself, compared with its header before it is decoded.

A decoder allocates, and may work for minutes on, what the codestream says. Only the size and the
sign are read here: JPEG and JPEG-LS, ITU-T T.81 B.1 and T.87 C.2; JPEG 2000, ITU-T T.800 A.5.1.
"""

from __future__ import annotations

from typing import Any

from fmtool.errors import InputError
from runtime.scan.dicom import values
from runtime.scan.dicom.parse import Dataset

_BESIDES = 1 << 16  # bytes that a slice's headers and segments may add
_START_2000 = b"\xff\x4f\xff\x51"
_SIGN_2000 = 42  # where the first component's precision and sign are
_START = b"\xff\xd8"
_FRAMES = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}  # the markers that give a size


def check_claims(name: str, data: Dataset, index: int, syntax: str) -> bool:
    """Refuse a slice that is another size inside than outside; whether it says it is signed.

    Raises:
        InputError: then.
    """
    from pydicom import encaps, uid

    encoded = encaps.get_frame(
        data.PixelData,
        index,
        number_of_frames=values.whole(data, "NumberOfFrames") or 1,
        extended_offsets=_offsets(data),
    )
    rows, columns = int(data.Rows), int(data.Columns)
    plain = rows * columns * int(data.BitsAllocated) // 8
    if len(encoded) > 2 * plain + _BESIDES:
        raise InputError(
            f"{name} is damaged: a slice of {plain} bytes takes {len(encoded)} compressed"
        )
    if syntax == uid.RLELossless:
        return False  # pydicom decodes it within the size that the header gives
    size = _size_2000(encoded) or _size(encoded)
    if size is None:
        raise InputError(f"{name} is damaged: a slice does not begin as its compression does")
    if size != (columns, rows):
        raise InputError(
            f"{name} is damaged: a slice of {columns} x {rows} voxels claims {size[0]} x {size[1]} "
            "inside"
        )
    return bool(_size_2000(encoded)) and encoded[_SIGN_2000] >> 7 == 1


def _size_2000(encoded: bytes) -> tuple[int, int] | None:
    """Width and height of a JPEG 2000 codestream: its reference grid less its offset."""
    if not encoded.startswith(_START_2000) or len(encoded) <= _SIGN_2000:
        return None
    across, down, left, top = (int.from_bytes(encoded[n : n + 4], "big") for n in (8, 12, 16, 20))
    return across - left, down - top


def _size(encoded: bytes) -> tuple[int, int] | None:
    """Width and height of a JPEG or JPEG-LS codestream, from its first frame header."""
    if not encoded.startswith(_START):
        return None
    at = len(_START)
    while at + 9 <= len(encoded) and encoded[at] == 0xFF:
        marker = encoded[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
            continue
        if marker in _FRAMES:
            down, across = (int.from_bytes(encoded[at + n : at + n + 2], "big") for n in (5, 7))
            return across, down
        at += 2 + int.from_bytes(encoded[at + 2 : at + 4], "big")
    return None


def _offsets(data: Dataset) -> Any:
    if "ExtendedOffsetTable" not in data:
        return None
    return data.ExtendedOffsetTable, data.ExtendedOffsetTableLengths
