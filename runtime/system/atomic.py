"""Writing files in one step: a reader sees the whole file or none; what a kill leaves is swept."""

from __future__ import annotations

import errno
import os
import re
import secrets
from pathlib import Path

from fmtool.errors import InputError
from runtime.system import owner

_UNFINISHED = re.compile(r"\..+\.(?P<owner>[0-9a-f]{8}-\d+-\d*)\.[0-9a-f]{8}\.tmp")
_NAME = 60  # characters of the name that are kept, so that a long one gets no longer than may be


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to a temporary file beside `path`, then rename it to `path`.

    Raises:
        InputError: if the folder is missing, not writable or full; nothing is left behind.
    """
    name = path.name[:_NAME]
    scratch = path.with_name(f".{name}.{owner.tag()}.{secrets.token_hex(4)}.tmp")
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


def sweep(folder: Path) -> None:
    """Remove what `write_bytes` of processes that were killed left in a folder."""
    for file in folder.glob(".*.tmp"):
        found = _UNFINISHED.fullmatch(file.name)
        try:
            if found and not owner.tagged_lives(found["owner"], file.stat().st_mtime):
                file.unlink()
        except OSError:  # another process was faster, or it is another user's: no harm
            continue
