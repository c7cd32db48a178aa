"""Store: prepared scans in a folder, made once, for every bundle and verb that prepares alike."""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from filelock import FileLock

from fmtool import __version__
from fmtool.errors import FmtoolError, InputError
from runtime.ledger.content import content_digest, stat_digest
from runtime.scan import Source, called
from runtime.store import entry as entries
from runtime.store.entry import MadeScan, StoredScan
from runtime.store.file_digests import Digests

__all__ = ["Store"]

_log = logging.getLogger(__name__)

_SCRATCH = ".fmtool-"
_LOCK = ".lock"
_ABANDONED = 3600.0  # seconds: an entry is written in a few
_OCCUPIED = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR)
_DAMAGES = (OSError, ValueError, KeyError, TypeError)


class Store:
    """A folder of prepared volumes, one entry per scan; several processes may use it at once.

    An entry is found by the scan's bytes, by what prepares it and by fmtool's version: a change of
    any prepares the scan anew. Bytes that were verified are trusted until a file's size, inode or
    times change; see `file_digests`. Entries are their owner's alone, and nothing in the folder
    says what a scan's file was called.

    Args:
        folder: made when first needed.
        anew: verify every byte of every entry, whatever was verified before.
    """

    def __init__(self, folder: str | os.PathLike[str], anew: bool = False) -> None:
        self.folder = Path(folder)
        self.anew = anew
        self._digests = Digests(self.folder / ".digests")

    def get(
        self, source: Source, made_by: Sequence[str], make: Callable[[], MadeScan]
    ) -> StoredScan:
        """The prepared scan, from the store or made now.

        Args:
            source: what `runtime.scan.read` takes.
            made_by: all that decides what `make` makes of the scan's bytes.
            make: prepares it.

        Raises:
            InputError: if the scan cannot be read or prepared, or is written to meanwhile.
            FmtoolError: if the entry cannot be written, which is no fault of the scan.
        """
        place = source if not isinstance(source, str | os.PathLike) else Path(source)
        try:
            before, content = stat_digest(place), self.content(place)
        except OSError:
            make()  # says what is wrong with it, if that lasts
            raise InputError(f"{called(source)} cannot be read at the moment; try again") from None
        key = "\n".join((__version__, content, *made_by))
        target = self.folder / hashlib.sha256(key.encode()).hexdigest()
        if target.exists():
            try:
                return entries.load(target, self._digests, self.anew)
            except _DAMAGES as error:
                _log.warning("a scan is prepared again: %s is damaged (%s)", target, error)
        made = make()
        if stat_digest(place) != before:
            cause = BlockingIOError(errno.EAGAIN, "it changed")
            raise InputError(f"{called(source)} was written to while it was read") from cause
        made.facts["source_sha256"] = content
        try:
            return self._write(target, made)
        except OSError as error:
            raise FmtoolError(
                f"cannot write {target} ({error.strerror or error}); the store needs a folder with "
                "space that you may write to"
            ) from None

    def content(self, place: Path | Sequence[Path]) -> str:
        """See `content_digest`; of files that did not change, it is remembered."""
        return content_digest(place, self._digests.of)

    def tidy(self) -> None:
        """Remove what runs that were killed while writing have left behind."""
        for scratch in self.folder.glob(f"{_SCRATCH}*"):
            try:
                old = time.time() - scratch.stat().st_mtime > _ABANDONED
            except FileNotFoundError:  # its writer has just finished
                continue
            if old:
                shutil.rmtree(scratch, ignore_errors=True)  # another process may be at it, too

    def _write(self, target: Path, made: MadeScan) -> StoredScan:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=_SCRATCH, dir=self.folder) as scratch:
            staged = Path(scratch) / "new"
            staged.mkdir(mode=0o700)
            entries.save(staged, made)
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
