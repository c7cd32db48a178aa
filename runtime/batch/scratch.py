"""A folder for what workers write on the way; it goes with the run, or with the next one."""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path

from runtime.system import owner

_PREFIX = ".work-"
_OWNER = "owner"


class Scratch:
    """A temporary folder that says whose it is; use it as a context manager.

    Those of processes that were killed are removed, too.

    Args:
        parent: the folder to make it in.

    Attributes:
        folder: the temporary folder, inside the `with` block.
    """

    def __init__(self, parent: Path) -> None:
        self._parent = parent
        self.folder = parent

    def __enter__(self) -> Scratch:
        for folder in self._parent.glob(f"{_PREFIX}*"):
            if not _in_use(folder):
                shutil.rmtree(folder, ignore_errors=True)  # perhaps another run is at it, too
        self.folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=self._parent))
        (self.folder / _OWNER).write_text(owner.me())
        return self

    def __exit__(self, *error: object) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)  # what stays, the next run removes


def _in_use(folder: Path) -> bool:
    """Whether its process lives; a folder that does not say whose it is may just be new."""
    try:
        made = folder.stat().st_mtime
        name = folder / _OWNER
        return owner.lives(name.read_text(), made) if name.exists() else time.time() - made < 60
    except (OSError, ValueError):  # it went meanwhile, or its process was killed as it wrote
        return False
