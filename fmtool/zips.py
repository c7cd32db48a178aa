"""What Python's zipfile raises of an archive that is damaged, or was made to hurt."""

from __future__ import annotations

import lzma
import struct
import zipfile
import zlib

DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    IndexError,  # an entry without a name
    OverflowError,
    RuntimeError,  # encrypted; NotImplementedError, for a method, is one
    ValueError,
)
"""A read of the archive or of an entry may raise these; OSError, of the disk or of bzip2, apart."""


def bounded(entry: zipfile.ZipInfo) -> zipfile.ZipInfo:
    """The entry, if unpacking it takes little memory whatever it claims.

    Raises:
        zipfile.BadZipFile: for LZMA, whose dictionary may be of gigabytes; zips of scans and of
            weights are deflated or stored.
    """
    if entry.compress_type == zipfile.ZIP_LZMA:
        raise zipfile.BadZipFile("an entry is packed with LZMA; pack it with deflate")
    return entry
