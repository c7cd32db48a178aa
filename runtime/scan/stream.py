"""Bounded reading of a volume file, compressed or not: never more bytes than were asked for.

The libraries are driven directly: no copy beyond the one into the caller's buffer, checksums
verified, and a decompression bomb stops at the size that the header promised.
"""

from __future__ import annotations

import bz2
import errno
import importlib
import io
import os
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from fmtool.errors import CapabilityError, InputError
from fmtool.files import open_regular

COMPRESSED = (".gz", ".bz2", ".zst")
"""How the names of compressed files end; what is in them decides."""

_CHUNK = 1 << 16
_GZIP_RATIO = 1032
# Deflate's own limit: 258 bytes from 2 bits. No gzip file holds more per compressed byte.


class _Inflater(Protocol):
    """One member of a compressed file, as `bz2.BZ2Decompressor` has it."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Gzip:
    """zlib's with the manners of the others: what it did not take, it keeps."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def needs_input(self) -> bool:
        return not self._zlib.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._zlib.decompress(self._zlib.unconsumed_tail + data, max_length)


def _zstd() -> _Inflater:
    try:
        name = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
        inflater: _Inflater = importlib.import_module(name).ZstdDecompressor()
    except ImportError:
        raise CapabilityError(
            "reading .zst files needs backports.zstd; install it with "
            "`pip install 'nibabel[zstd]'`, or unpack the file"
        ) from None
    return inflater


_Kind = tuple[str, bytes, Callable[[], _Inflater] | None]
_KINDS: tuple[_Kind, ...] = (
    ("gzip", b"\x1f\x8b", _Gzip),
    ("bzip2", b"BZh", bz2.BZ2Decompressor),
    ("Zstandard", b"\x28\xb5\x2f\xfd", _zstd),
)

MAGICS = tuple(magic for _, magic, _ in _KINDS)
"""How compressed files begin."""


class Stream:
    """The (decompressed) bytes of a file in order; use it as a context manager.

    Raises:
        InputError: if the file is missing, empty, not a regular file or not readable.
        CapabilityError: if what unpacks it is not installed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file: io.BufferedReader = _open(path)
        except FileNotFoundError:
            raise InputError(f"{path} {_absent(path)}") from None
        except OSError as error:
            raise InputError(f"{path} cannot be read ({error.strerror}); check it") from None
        try:
            self.file_bytes = os.fstat(self._file.fileno()).st_size
            start = self._file.read(4)
            self._file.seek(0)
            if not start:
                raise InputError(f"{path} is empty (0 bytes); copy it again from its source")
            plain: _Kind = ("", b"", None)
            kind = next((k for k in _KINDS if start.startswith(k[1])), plain)
            self.compressed, self._magic, self._new = kind
            self._inflater = self._new() if self._new else None
        except BaseException:
            self._file.close()
            raise

    @property
    def most_bytes(self) -> int | None:
        """No more than this can come out of the file; None if its compression sets no bound."""
        if self._inflater is None:
            return self.file_bytes
        return self.file_bytes * _GZIP_RATIO if self.compressed == "gzip" else None

    def read(self, count: int) -> bytes:
        """The next `count` bytes; fewer only at the end of the file."""
        buffer = bytearray(count)
        return bytes(memoryview(buffer)[: self.fill(memoryview(buffer))])

    def fill(self, buffer: memoryview) -> int:
        """Fill `buffer` (bytes) with what comes next; the number of bytes written.

        Raises:
            InputError: if the compressed data is damaged or cut off.
        """
        done = 0
        while done < len(buffer):
            if self._inflater is None:
                count = self._file.readinto(buffer[done:])
            else:
                piece = self._next(len(buffer) - done)
                count = len(piece)
                buffer[done : done + count] = piece
            if not count:
                break
            done += count
        return done

    def rest(self, limit: int) -> int:
        """How many bytes follow, counted up to `limit`; verifies the checksum at the end."""
        count = 0
        while count < limit:
            piece = self._next(limit - count)
            if not piece:
                break
            count += len(piece)
        return count

    def _next(self, most: int) -> bytes:
        """Between 1 and `most` bytes, or none at the end."""
        if self._inflater is None or self._new is None:
            return self._file.read(min(most, 1 << 24))
        while True:
            data = b""
            if self._inflater.eof:
                data = self._inflater.unused_data
                if len(data) < len(self._magic):
                    data += self._file.read(_CHUNK)
                if not data.startswith(self._magic):  # zero padding, or the end
                    return b""
                self._inflater = self._new()  # blocked gzip: the next member
            elif self._inflater.needs_input:
                data = self._file.read(_CHUNK)
            try:
                piece = self._inflater.decompress(data, most)
            except MemoryError:
                raise
            except Exception:  # each library has its own
                raise InputError(
                    f"{self.path} is damaged: its {self.compressed} data does not decompress; "
                    "copy it again"
                ) from None
            if piece:
                return piece
            if not data and self._inflater.needs_input and not self._inflater.eof:
                raise InputError(
                    f"{self.path} is cut off: its {self.compressed} data ends too early; copy "
                    "it again"
                )

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()


def _open(path: Path) -> io.BufferedReader:
    """A regular file opened for reading; a pipe or device would hang or never end."""
    try:
        return io.BufferedReader(open_regular(path))
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENXIO):
            raise
        raise InputError(f"{path} is not a file; name a .nii or .nii.gz file") from None


def _absent(path: Path) -> str:
    if not path.is_symlink():
        return "does not exist; check the path"
    there = f"is a link to {os.readlink(path)}, which is not there; "
    if "annex/objects" in there:
        return f"{there}get the content with `git annex get` or `datalad get`"
    return f"{there}mend the link or copy the file"
