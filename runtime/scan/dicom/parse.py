"""One DICOM file to a pydicom data set, with bounds on what its header may make of itself."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, BinaryIO, TypeAlias, cast

from runtime.scan.dicom.found import Item
from runtime.scan.dicom.library import pydicom
from runtime.scan.dicom.limits import MAX_HEADER_BYTES, MAX_SEQUENCE_ITEMS, Deadline

Dataset: TypeAlias = Any  # pydicom.Dataset, which the runtime must import without

_ITEM_TAGS = (b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00")  # little and big endian
_CHUNK = 1 << 16
_PIXELS = (0x7FE00008, 0x7FE00009, 0x7FE00010)


class ExcessError(Exception):
    """A header larger than any that a scanner writes."""


class _DeflatedError(Exception):
    """pydicom asks for a whole file at once, which it does of a deflated one, to unpack it."""


class _File(io.BytesIO):
    """A file in memory that is read in pieces."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0:
            raise _DeflatedError
        return super().read(size)


class _Head(io.RawIOBase):
    """The start of a stream, fetched as it is asked for and kept, so that it can be sought in.

    `parsed` is how to let pydicom read it: whatever is raised while pydicom reads the head of a
    sequence's item (an interruption too) comes out of it as an OSError about a missing tag.
    """

    def __init__(self, stream: BinaryIO, deadline: Deadline) -> None:
        self._stream, self._deadline = stream, deadline
        self._held, self._at, self._items = bytearray(), 0, 0
        self._ended: BaseException | None = None

    def parsed(self, parse: Callable[[BinaryIO], Dataset]) -> Dataset:
        """What `parse` makes of this; if this ended the reading, the reason is what is raised."""
        try:
            return parse(cast(BinaryIO, self))
        except Exception:
            if self._ended is not None:
                raise self._ended from None
            raise

    def read(self, size: int = -1, /) -> bytes:
        try:
            return self._read(size)
        except BaseException as error:
            self._ended = error
            raise

    def _read(self, size: int) -> bytes:
        self._deadline.check()
        if size < 0:
            raise _DeflatedError
        end = self._at + size
        while len(self._held) < end:
            if len(self._held) > MAX_HEADER_BYTES:
                raise ExcessError
            part = self._stream.read(_CHUNK)
            if not part:
                break
            self._items += sum(part.count(tag) for tag in _ITEM_TAGS)
            if self._items > MAX_SEQUENCE_ITEMS:
                raise ExcessError
            self._held += part
        data = bytes(self._held[self._at : end])
        self._at += len(data)
        return data

    def seek(self, offset: int, whence: int = 0, /) -> int:
        if whence == io.SEEK_END:
            raise ExcessError
        self._at = offset + (self._at if whence == io.SEEK_CUR else 0)
        return self._at

    def tell(self) -> int:
        return self._at


def header(item: Item, keywords: Iterable[str | int], deadline: Deadline) -> Dataset:
    """The elements named, of those before the pixels.

    Raises:
        Exception: of whatever kind pydicom raises for a damaged file.
        ExcessError: for a header beyond the limits.
    """
    with item.open() as stream:
        head = _Head(stream, deadline)
        try:
            return head.parsed(
                partial(pydicom().dcmread, stop_before_pixels=True, specific_tags=list(keywords))
            )
        except _DeflatedError:
            packed = item.read(item.size)[head.tell() :]
            start = zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, MAX_HEADER_BYTES)
            plain = partial(_plain, keywords=keywords, pixels=False)
            return _Head(io.BytesIO(start), deadline).parsed(plain)


def whole(item: Item, keywords: Iterable[str | int], most_bytes: int) -> Dataset:
    """The elements named, the pixels among them if they are.

    Args:
        most_bytes: of a deflated file, no more than this is unpacked.
    """
    file = _File(item.read(item.size))
    try:
        return pydicom().dcmread(file, specific_tags=list(keywords))
    except _DeflatedError:
        packed = file.getbuffer()[file.tell() :]
        data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, most_bytes)
        return _plain(io.BytesIO(data), keywords, pixels=True)


def _plain(stream: Any, keywords: Iterable[str | int], pixels: bool) -> Dataset:
    """A deflated data set, unpacked; pydicom itself would unpack one of any size, whole."""
    from pydicom import filereader
    from pydicom.datadict import tag_for_keyword
    from pydicom.dataset import FileMetaDataset

    tags: list[Any] = [w if isinstance(w, int) else tag_for_keyword(w) for w in keywords]
    stop = None if pixels else (lambda tag, vr, length: int(tag) in _PIXELS)
    data = filereader.read_dataset(stream, False, True, stop_when=stop, specific_tags=tags)
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = pydicom().uid.ExplicitVRLittleEndian  # what it has become
    data.file_meta = meta
    data.set_original_encoding(False, True)
    return data
