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
