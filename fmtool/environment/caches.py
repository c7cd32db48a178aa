"""Where fmtool keeps what it can make again."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from fmtool.errors import CapabilityError


def folder(name: str) -> Path:
    """The user's folder for caches called `name`; it need not exist.

    It lies in XDG_CACHE_HOME or, where that is not set, in ~/.cache. Who has no home that can be
    written to has it in `private`, which lasts until the system clears its temporary files.

    Raises:
        CapabilityError: see `private`.
    """
    named = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(named):  # the specification has others ignored
        return Path(named, "fmtool", name)
    home = os.path.expanduser("~")  # as it stands where there is neither HOME nor an account
    ours = Path(home, ".cache", "fmtool", name)
    return ours if os.path.isabs(home) and _possible(ours) else private() / name


def private() -> Path:
    """This user's own folder among the system's temporary ones.

    Raises:
        CapabilityError: if there is none, or it is another user's.
    """
    try:
        # Where users have no number (Windows), temporary files lie in a folder of each user's own.
        number = os.getuid() if hasattr(os, "getuid") else 0
        ours = Path(tempfile.gettempdir(), f"fmtool-{number}")
        ours.mkdir(mode=0o700, exist_ok=True)
        if ours.lstat().st_uid == number and not ours.is_symlink():
            return ours
    except OSError as error:
        raise CapabilityError(
            f"no folder for temporary files can be written ({error.strerror or error}); name one "
            "by TMPDIR"
        ) from None
    raise CapabilityError(f"{ours} is another user's; remove it")


def _possible(folder: Path) -> bool:
    """Whether it is there, to read at least, or can be made."""
    there = next(place for place in (folder, *folder.parents) if os.path.exists(place))
    return there == folder or (there.is_dir() and os.access(there, os.W_OK | os.X_OK))
