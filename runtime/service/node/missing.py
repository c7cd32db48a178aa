"""What a series still lacks: objects that were refused, or a sender that did not end in order.

    missing/SERIES/           from a series' first object until it is taken as whole
    missing/SERIES/OBJECT     one that was refused, or deleted before more came, until it comes
    missing/SERIES/released   none that sent it is open or was cut off
    deleted/SERIES            the objects of one that was deleted, for a time

The folder is there, and `released` is not, before an object is stored; `released` is there before a
release is acknowledged. So a crash cuts off those that were open, and nobody else.
"""

from __future__ import annotations

import secrets
import shutil
import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from runtime.service import move
from runtime.system import posix
from runtime.system.atomic import write_bytes

_RELEASED = "released"  # no object's name: those are hashes


@dataclass
class _Series:
    """What is known of one: who sends, which objects were refused, whether a sender was cut off.

    `open` is whether the disk says so of a sender.
    """

    senders: set[threading.Thread] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    cut: bool = False
    open: bool = False
    after: set[threading.Thread] = field(default_factory=set)  # senders that came after the cut


class LostObjects:
    """The series that are not whole; not to be used by two threads at once.

    Args:
        folder: the inbox; who had not released when the process before this one ended was cut off.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._deleted = folder / "missing", folder / "deleted"
        self._scratch = folder / "temporary"
        for place in (self._folder, self._deleted):
            place.mkdir(exist_ok=True)
        self._series = {folder.name: _left(folder) for folder in self._folder.iterdir()}

    def arriving(self, series: str, sender: object, new: bool = True) -> None:
        """An object of a series comes; one that is not new tells only that its sender is at it.

        Raises:
            OSError: if that cannot be written down.
        """
        if not isinstance(sender, threading.Thread) or not (new or series in self._series):
            return
        held = self._series.setdefault(series, _Series())
        self._look(held)
        if held.cut and sender not in held.senders:
            held.after.add(sender)
        held.senders.add(sender)
        if not held.open:
            self._open(series)
            held.open = True
            self._recall(series)

    def released(self, sender: object) -> None:
        """An association was released by who opened it, and is acknowledged after this.

        Raises:
            OSError: if that cannot be written down; a restart takes it for cut off.
        """
        for series, held in self._series.items():
            if sender not in held.senders:
                continue
            self._look(held)
            held.senders.discard(sender)
            if sender in held.after:  # it began after the cut: what was lost, it has sent
                held.cut, held.after = False, set()
            if not (held.cut or held.senders):
                held.open = False
                (self._folder / series / _RELEASED).touch()
                posix.sync(self._folder / series)

    def stored(self, series: str, name: str) -> None:
        """An object is there."""
        held = self._series.get(series)
        if held is not None and name in held.refused:
            held.refused.discard(name)
            (self._folder / series / name).unlink(missing_ok=True)

    def refused(self, series: str, name: str) -> None:
        """An object was refused, and is waited for."""
        self._series.setdefault(series, _Series()).refused.add(name)
        with suppress(OSError):  # the disk may be what it was refused for; this process knows
            self._open(series)
            (self._folder / series / name).touch()

    def known(self, series: str) -> bool:
        """Whether it is waited for, or was put aside for what it lacked."""
        return series in self._series

    def sending(self, series: str) -> bool:
        """Whether an association that sent of it is open."""
        held = self._series.get(series)
        return held is not None and any(sender.is_alive() for sender in held.senders)

    def why(self, series: str) -> str:
        """Why a series is not whole, in words; "" if nothing says so."""
        held = self._series.get(series)
        if held is None:
            return ""
        self._look(held)
        if held.refused:
            return (
                f"{len(held.refused)} of its objects were refused for want of space, or deleted "
                "after their time, and have not come since; send the series again"
            )
        if held.cut:
            return (
                "an association that sent it was aborted, and none has sent it to the end since; "
                "send the series again, or move it back into `receiving` if it is whole"
            )
        return ""

    def forget(self, series: str) -> None:
        """It is whole, or somebody wants it answered as it is."""
        if self._series.pop(series, None) is not None:
            gone = self._scratch / secrets.token_hex(16)
            with suppress(FileNotFoundError):  # never made on a full disk
                (self._folder / series).rename(gone)  # at once: half of it would say another thing
                shutil.rmtree(gone)

    def deleted(self, series: str, names: Iterable[str]) -> None:
        """Its objects go: should one more of it come, they are waited for."""
        self._series.pop(series, None)
        move.remove(self._folder / series)
        write_bytes(self._deleted / series, "\n".join(names).encode())

    def sweep(self, oldest: float) -> None:
        """No longer wait for what was deleted before a time (seconds since 1970)."""
        for file in self._deleted.iterdir():
            if file.stat().st_mtime < oldest:
                file.unlink()

    def _recall(self, series: str) -> None:
        """Wait for what was deleted of a series of which more comes."""
        file = self._deleted / series
        if file.exists():
            for name in file.read_text().split():
                self.refused(series, name)
            file.unlink()

    def _look(self, held: _Series) -> None:
        """See who has ended without a release."""
        ended = {sender for sender in held.senders if not sender.is_alive()}
        if ended:
            held.senders -= ended
            held.cut, held.after = True, set()

    def _open(self, series: str) -> None:
        place = self._folder / series
        if (place / _RELEASED).exists():
            (place / _RELEASED).unlink()
            posix.sync(place)
        else:
            place.mkdir(exist_ok=True)
            posix.sync(self._folder)


def _left(folder: Path) -> _Series:
    """What the process before this one knew of a series."""
    names = {file.name for file in folder.iterdir()}
    released = _RELEASED in names
    return _Series(refused=names - {_RELEASED}, cut=not released, open=not released)
