"""Bounded reading of a volume file, gzipped or not: never more bytes than were asked for.

zlib is driven directly: no copy beyond the one into the caller's buffer, checksums verified, and
a decompression bomb stops at the size that the header promised.
"""

from __future__ import annotations

import io
import os
import stat
import zlib
from pathlib import Path
from types import TracebackType

from fmtool.errors import InputError

_CHUNK = 1 << 16
_GZIP = b"\x1f\x8b"
_MAX_RATIO = 1032
# Deflate's own limit: 258 bytes from 2 bits. No gzip file holds more per compressed byte.


class Stream:
    """The (decompressed) bytes of a file in order; use it as a context manager.

    Raises:
        InputError: if the file is missing, empty, not a regular file or not readable.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file: io.BufferedReader = _open(path)
        except FileNotFoundError:
            raise InputError(f"{path} does not exist; check the path") from None
        except OSError as error:
            raise InputError(f"{path} cannot be read ({error.strerror}); check it") from None
        self.file_bytes = os.fstat(self._file.fileno()).st_size
        start = self._file.read(2)
        self._file.seek(0)
        self.gzipped = start == _GZIP
        self._inflater = zlib.decompressobj(wbits=31) if self.gzipped else None
        self._rest = b""  # compressed bytes read from the file but not yet inflated
        if not start:
            self._file.close()
            raise InputError(f"{path} is empty (0 bytes); copy it again from its source")

    @property
    def most_bytes(self) -> int:
        """No more than this can come out of the file."""
        return self.file_bytes * (_MAX_RATIO if self.gzipped else 1)

    def read(self, count: int) -> bytes:
        """The next `count` bytes; fewer only at the end of the file."""
        buffer = bytearray(count)
        return bytes(memoryview(buffer)[: self.fill(memoryview(buffer))])

    def fill(self, buffer: memoryview) -> int:
        """Fill `buffer` (bytes) with what comes next; the number of bytes written.

        Raises:
            InputError: if the gzip data is damaged or cut off.
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
        """How many bytes follow, counted up to `limit`; verifies gzip's checksum at the end."""
        count = 0
        while count < limit:
            piece = self._next(limit - count)
            if not piece:
                break
            count += len(piece)
        return count

    def _next(self, most: int) -> bytes:
        """Between 1 and `most` bytes, or none at the end."""
        if self._inflater is None:
            return self._file.read(min(most, 1 << 24))
        while True:
            if self._inflater.eof:
                self._rest = self._inflater.unused_data or self._file.read(_CHUNK)
                if not self._rest.startswith(_GZIP):  # zero padding, or the end
                    return b""
                self._inflater = zlib.decompressobj(wbits=31)  # blocked gzip: the next member
            data = self._rest or self._file.read(_CHUNK)
            try:
                piece = self._inflater.decompress(data, most)
            except zlib.error:
                raise InputError(
                    f"{self.path} is damaged: its gzip data does not decompress; copy it again"
                ) from None
            self._rest = self._inflater.unconsumed_tail
            if piece:
                return piece
            if not data and not self._inflater.eof:
                raise InputError(
                    f"{self.path} is cut off: its gzip data ends too early; copy it again"
                )

    def __enter__(self) -> Stream:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()


def _open(path: Path) -> io.BufferedReader:
    """A regular file opened for reading; a pipe or device would hang or never end."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise InputError(f"{path} is not a file; name a .nii or .nii.gz file")
    return path.open("rb")
