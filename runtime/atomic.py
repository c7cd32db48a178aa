"""Writing files in one step: a reader sees the whole file, or none."""

from __future__ import annotations

import errno
import os
import secrets
from pathlib import Path

from fmtool.errors import InputError


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to a temporary file beside `path`, then rename it to `path`.

    Raises:
        InputError: if the folder is missing, not writable or full; nothing is left behind.
    """
    scratch = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with scratch.open("xb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(scratch, path)
    except OSError as error:
        scratch.unlink(missing_ok=True)
        remedy = (
            "free some space there"
            if error.errno in (errno.ENOSPC, errno.EDQUOT)
            else "name a folder that exists and that you may write to"
        )
        raise InputError(f"cannot write {path} ({error.strerror}); {remedy}") from None
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise
