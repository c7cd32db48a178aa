"""MRD messages: each is a number of two bytes and a body whose size it tells, little endian.

ISMRM Raw Data, protocol 1: Inati et al., Magn Reson Med 77 (2017) 411. A size is checked before
anything is read or held for it.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fmtool.errors import InputError

MAX_TEXT_BYTES = 4 << 20
"""Of a text, an XML header, or the attributes of one image."""

MAX_IMAGE_BYTES = 1 << 30
MAX_SESSION_BYTES = 2 << 30
"""Of all that one connection sends: four whole heads of 1 GiB voxels are no scan."""

MAX_MESSAGES = 100_000


class Tag(IntEnum):
    """The messages that are read; every other number ends a connection with a sentence."""

    CONFIG_FILE = 1
    CONFIG_TEXT = 2
    HEADER = 3
    CLOSE = 4
    TEXT = 5
    IMAGE = 1022
    WAVEFORM = 1026


_RAW = 1008
_DEPRECATED = frozenset({*range(1001, 1008), *range(1009, 1022), 1023})

IMAGE_HEADER = np.dtype(
    [
        ("version", "<u2"),
        ("data_type", "<u2"),
        ("flags", "<u8"),
        ("measurement_uid", "<u4"),
        ("matrix_size", "<u2", 3),
        ("field_of_view", "<f4", 3),
        ("channels", "<u2"),
        ("position", "<f4", 3),
        ("read_dir", "<f4", 3),
        ("phase_dir", "<f4", 3),
        ("slice_dir", "<f4", 3),
        ("patient_table_position", "<f4", 3),
        ("average", "<u2"),
        ("slice", "<u2"),
        ("contrast", "<u2"),
        ("phase", "<u2"),
        ("repetition", "<u2"),
        ("set", "<u2"),
        ("acquisition_time_stamp", "<u4"),
        ("physiology_time_stamp", "<u4", 3),
        ("image_type", "<u2"),
        ("image_index", "<u2"),
        ("image_series_index", "<u2"),
        ("user_int", "<i4", 8),
        ("user_float", "<f4", 8),
        ("attribute_string_len", "<u4"),
    ]
)
"""The 198 bytes before an image; lengths in mm, LPS."""

NUMBERS = {
    code: np.dtype(name)
    for code, name in enumerate(("<u2", "<i2", "<u4", "<i4", "<f4", "<f8", "<c8", "<c16"), 1)
}
"""What a voxel is, by the header's data_type."""

CODES = {dtype: code for code, dtype in NUMBERS.items()}

_CONFIG_BYTES = 1024
_WAVEFORM_BYTES = 40
_ID, _LENGTH, _LONG = struct.Struct("<H"), struct.Struct("<I"), struct.Struct("<Q")

Take = Callable[[int], bytes]
"""Gives exactly so many bytes; fewer only at the end of the stream."""


class MrdMessage(NamedTuple):
    """One message: its number, and what follows it on the wire."""

    kind: int
    body: bytes

    @property
    def wire(self) -> bytes:
        """The bytes to send."""
        return _ID.pack(self.kind) + self.body


class MrdImage(NamedTuple):
    """One image message, taken apart.

    Attributes:
        head: a scalar of `IMAGE_HEADER`.
        attributes: XML, as it came.
        data: (channels, z, y, x), a view of the message.
    """

    head: Any
    attributes: bytes
    data: NDArray[Any]


class CutOff(InputError):
    """The stream ended inside a message."""


def read(take: Take, allow: Callable[[int], None] = lambda size: None) -> MrdMessage | None:
    """The next message; None at the end of the stream.

    Args:
        take: the stream.
        allow: told how many bytes a body has before they are read; may raise.

    Raises:
        InputError: for a message that is not taken, or whose size is none.
        CutOff: if the stream ends inside it.
    """
    start = take(_ID.size)
    if not start:
        return None
    (number,) = _ID.unpack(_whole(start, _ID.size))
    if number not in Tag.__members__.values():
        raise InputError(_refused(number))
    kind, parts = Tag(number), list[bytes]()

    def more(size: int) -> bytes:
        allow(size)
        parts.append(_whole(take(size), size) if size else b"")
        return parts[-1]

    if kind is Tag.CONFIG_FILE:
        more(_CONFIG_BYTES)
    elif kind is Tag.IMAGE:
        head = np.frombuffer(more(IMAGE_HEADER.itemsize), IMAGE_HEADER)[0]
        size = image_bytes(head)
        (length,) = _LONG.unpack(more(_LONG.size))
        more(_limited(length, MAX_TEXT_BYTES, "an image's attributes"))
        more(size)
    elif kind is Tag.WAVEFORM:
        samples, channels = struct.unpack_from("<HH", more(_WAVEFORM_BYTES), 28)
        more(_limited(4 * samples * channels, MAX_IMAGE_BYTES, "a waveform"))
    elif kind is not Tag.CLOSE:
        (length,) = _LENGTH.unpack(more(_LENGTH.size))
        more(_limited(length, MAX_TEXT_BYTES, "a text"))
    return MrdMessage(kind, b"".join(parts))


def image_bytes(head: Any) -> int:
    """The size of an image's voxels.

    Raises:
        InputError: if there are none, too many, or of no number type of the standard.
    """
    dtype = NUMBERS.get(int(head["data_type"]))
    if dtype is None:
        raise InputError(
            f"an image says that its voxels are of type {int(head['data_type'])}; expected 1 to 8"
        )
    dims = [int(n) for n in (*head["matrix_size"], head["channels"])]
    if min(dims) < 1:
        raise InputError("an image has no voxels; send whole images")
    return _limited(math.prod(dims) * dtype.itemsize, MAX_IMAGE_BYTES, "an image")


def image(message: MrdMessage) -> MrdImage:
    """An image message taken apart; nothing is copied."""
    body = memoryview(message.body)
    head = np.frombuffer(body[: IMAGE_HEADER.itemsize], IMAGE_HEADER)[0]
    (length,) = _LONG.unpack_from(body, IMAGE_HEADER.itemsize)
    start = IMAGE_HEADER.itemsize + _LONG.size
    x, y, z = (int(n) for n in head["matrix_size"])
    data = np.frombuffer(body[start + length :], NUMBERS[int(head["data_type"])])
    attributes = bytes(body[start : start + length])
    return MrdImage(head, attributes, data.reshape(int(head["channels"]), z, y, x))


def image_message(head: Any, attributes: bytes, data: NDArray[Any]) -> MrdMessage:
    """An image message; the header's type, sizes and lengths become those of what follows it.

    Args:
        head: a scalar of `IMAGE_HEADER`, which is copied.
        attributes: XML.
        data: (channels, z, y, x) of one of `NUMBERS`.
    """
    told = head.copy()
    told["data_type"] = CODES[data.dtype.newbyteorder("<")]
    told["channels"], told["matrix_size"] = data.shape[0], data.shape[:0:-1]
    told["attribute_string_len"] = len(attributes)
    length = _LONG.pack(len(attributes))
    return MrdMessage(Tag.IMAGE, b"".join((told.tobytes(), length, attributes, data.tobytes())))


def text_message(sentence: str, kind: Tag = Tag.TEXT) -> MrdMessage:
    """A text, an XML header or a configuration; it ends in a null, as consoles expect."""
    data = sentence.encode("utf-8", "replace") + b"\0"
    return MrdMessage(kind, _LENGTH.pack(len(data)) + data)


def config_file(name: str) -> MrdMessage:
    """The name of a configuration, as clients begin with."""
    return MrdMessage(Tag.CONFIG_FILE, name.encode().ljust(_CONFIG_BYTES, b"\0"))


CLOSE = MrdMessage(Tag.CLOSE, b"")


def text_of(message: MrdMessage) -> bytes:
    """What a text message or an XML header says, up to a null."""
    return message.body[_LENGTH.size :].split(b"\0", 1)[0]


def _refused(number: int) -> str:
    if number == _RAW:
        what = "raw k-space"
    elif number in _DEPRECATED:
        what = f"a deprecated message (number {number})"
    else:
        what = f"a message of the unknown number {number}"
    return f"the client sent {what}; expected reconstructed images (number {Tag.IMAGE.value})"


def _limited(size: int, most: int, what: str) -> int:
    if size > most:
        raise InputError(f"{what} claims {size} bytes; at most {most} are taken")
    return size


def _whole(data: bytes, size: int) -> bytes:
    if len(data) < size:
        raise CutOff("the stream ended inside a message; send it again whole")
    return data
