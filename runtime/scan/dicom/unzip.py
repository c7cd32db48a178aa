"""A zip read in place: nothing is unpacked to disk, so no entry's name can lead anywhere."""

from __future__ import annotations

import io
import stat
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO

from fmtool.errors import InputError
from fmtool.files import DAMAGED, bounded
from runtime.scan.dicom.found import IS_LINK, TOO_LARGE, Found, Item
from runtime.scan.dicom.limits import (
    MAX_FILE_BYTES,
    MAX_FILES,
    MAX_ZIP_BYTES,
    MAX_ZIP_DIRECTORY_BYTES,
    MAX_ZIP_RATIO,
    ZIP_RATIO_FROM_BYTES,
    Deadline,
)

MAGIC = (b"PK\x03\x04", b"PK\x05\x06")
ERRORS = (*DAMAGED, OSError)
"""What reading a damaged entry raises."""

_ENCRYPTED = 1


class _Bounded(io.BufferedReader):
    """A file that gives no more at once than a list of contents may take."""

    def read(self, size: int | None = -1, /) -> bytes:
        most = MAX_ZIP_DIRECTORY_BYTES
        data = super().read(most + 1 if size is None or size < 0 else min(size, most + 1))
        if len(data) > most:
            raise zipfile.BadZipFile("a list of contents of more than the limit")
        return data


@contextmanager
def opened(path: Path, raw: io.FileIO, deadline: Deadline) -> Iterator[Found]:
    """The DICOM files of the zip at `path`, which `raw` reads, while the context is open.

    Raises:
        InputError: if it is damaged, encrypted, or claims more than the limits.
    """
    try:
        archive = zipfile.ZipFile(_Bounded(raw))
    except ERRORS:
        raise InputError(
            f"{path} is not a whole zip archive, or lists more files than are read; copy or pack "
            "it again"
        ) from None
    with archive:
        entries = [entry for entry in archive.infolist() if not entry.filename.endswith("/")]
        _check(path, entries, path.stat().st_size)
        found = Found()
        for entry in entries:
            deadline.check()
            if stat.S_ISLNK(entry.external_attr >> 16):
                found.left_out[IS_LINK] += 1
            elif entry.file_size > MAX_FILE_BYTES:
                found.left_out[TOO_LARGE] += 1
            else:
                found.add(Item(entry.file_size, partial(_open, archive, entry)), ERRORS)
        yield found


def _open(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> BinaryIO:
    return archive.open(bounded(entry))  # type: ignore[return-value]  # IO[bytes]


def _check(path: Path, entries: list[zipfile.ZipInfo], packed: int) -> None:
    if len(entries) > MAX_FILES:
        raise InputError(
            f"{path} holds {len(entries)} files; at most {MAX_FILES} are looked at: pack one study"
        )
    if any(entry.flag_bits & _ENCRYPTED for entry in entries):
        raise InputError(f"{path} is encrypted; unpack it with its password and name the folder")
    total = sum(entry.file_size for entry in entries)
    if total > MAX_ZIP_BYTES:
        raise InputError(
            f"{path} claims {total} bytes unpacked; at most {MAX_ZIP_BYTES} are read: pack one "
            "study"
        )
    if total > ZIP_RATIO_FROM_BYTES and total > MAX_ZIP_RATIO * packed:
        raise InputError(
            f"{path} claims {total} bytes unpacked from {packed}: more than {MAX_ZIP_RATIO} times "
            "itself, as no archive of scans does"
        )
