"""Store: prepared volumes on disk, made once, read memory-mapped."""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from fmtool import __version__
from fmtool.errors import FmtoolError
from runtime.ledger.content import content_digest
from training.store import code_digest, turboprep
from training.store import entry as entries
from training.store.entry import StoredScan
from training.store.file_digests import Digests

if TYPE_CHECKING:
    from training.cohort.row import Row

if TYPE_CHECKING:
    from runtime.preprocess.pipeline import Prepared

__all__ = ["Entry", "Store"]

_log = logging.getLogger(__name__)

_SCRATCH = ".fmtool-"
_LOCK = ".lock"
_ABANDONED = 3600.0  # seconds: an entry is written in a few
_OCCUPIED = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR)
_DAMAGES = (OSError, ValueError, KeyError, TypeError)


class Store:
    """A folder of prepared volumes, one entry per scan; several processes may use it at once.

    An entry is found by the scan's bytes (and its mask's), the bundle that prepares it, fmtool's
    version and its preprocessing's code: a change of any prepares the scan anew. Bytes that were
    verified are trusted until a file's size, inode or times change; see `file_digests`.

    Args:
        folder: made when first needed.
        bundle_digest: of the bundle whose networks and template `prepare` uses.
        anew: verify every byte of every entry, whatever was verified before.
    """

    def __init__(
        self, folder: str | os.PathLike[str], bundle_digest: str = "", anew: bool = False
    ) -> None:
        self.folder = Path(folder)
        self.bundle_digest = bundle_digest
        self.anew = anew
        self._digests = Digests(self.folder / ".digests")

    def get(self, row: Row, prepare: Callable[[Path], Prepared]) -> StoredScan:
        """The prepared scan of a row, from the store or made now.

        Args:
            row: of a cohort. With a mask, its files are on the model's grid already.
            prepare: for rows without a mask, from the scan's path to what the pipeline makes of it.

        Raises:
            InputError: if the scan cannot be prepared.
            FmtoolError: if the entry cannot be written, which is no fault of the scan.
        """
        target = self.folder / self._key(row)
        if target.exists():
            try:
                return entries.load(target, self._digests, self.anew)
            except _DAMAGES as error:
                _log.warning("%s is prepared again: %s is damaged (%s)", row.image, target, error)
        if row.mask is not None:
            volume, mask, facts = turboprep.read(row.image, row.mask)
        else:
            prepared = prepare(row.image)
            volume, mask, facts = prepared.volume, prepared.mask, prepared.facts
        # Of a folder as `runtime.ledger.content` names it: its files' names say nothing there.
        of = self._content if row.image.is_file() else content_digest
        facts = {**facts, "source_sha256": of(row.image)}
        try:
            return self._write(target, volume, mask, facts)
        except OSError as error:
            raise FmtoolError(
                f"cannot write {target} ({error.strerror or error}); the store needs a folder with "
                "space that you may write to"
            ) from None

    def tidy(self) -> None:
        """Remove what runs that were killed while writing have left behind."""
        for scratch in self.folder.glob(f"{_SCRATCH}*"):
            try:
                old = time.time() - scratch.stat().st_mtime > _ABANDONED
            except FileNotFoundError:  # its writer has just finished
                continue
            if old:
                shutil.rmtree(scratch, ignore_errors=True)  # another process may be at it, too

    def _key(self, row: Row) -> str:
        parts = [__version__, code_digest.installed(), self._content(row.image)]
        parts += [self.bundle_digest] if row.mask is None else ["mask", self._content(row.mask)]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def _content(self, path: Path) -> str:
        """SHA-256 of a file, or of a folder's file names and contents."""
        if path.is_file():
            return self._digests.of(path)
        files = sorted(f for f in path.rglob("*") if f.is_file())
        listing = "\n".join(f"{f.relative_to(path)} {self._digests.of(f)}" for f in files)
        return hashlib.sha256(listing.encode()).hexdigest()

    def _write(
        self,
        target: Path,
        volume: NDArray[np.float32],
        mask: NDArray[np.bool_],
        facts: dict[str, Any],
    ) -> StoredScan:
        self.folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=_SCRATCH, dir=self.folder) as scratch:
            staged = Path(scratch) / "new"
            staged.mkdir()
            entries.save(staged, volume, mask, facts)
            self._publish(staged, target, Path(scratch) / "damaged")
        return entries.trusted(target)

    def _publish(self, staged: Path, target: Path, aside: Path) -> None:
        """Rename `staged` to `target`, unless another process has put a sound entry there."""
        while True:
            try:
                staged.rename(target)
                return
            except OSError as error:
                if error.errno not in _OCCUPIED:
                    raise
            # One process at a time: who has found the entry damaged might otherwise move the sound
            # one that another has put in its place meanwhile.
            with FileLock(self.folder / _LOCK):
                try:
                    entries.load(target, self._digests, anew=True)
                    return
                except _DAMAGES:
                    with suppress(FileNotFoundError):  # moved by another, about to replace it
                        target.rename(aside)
