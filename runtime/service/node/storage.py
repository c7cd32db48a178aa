"""The inbox: every object on disk once, in its series' folder, and where that series stands.

    receiving/SERIES/OBJECT.dcm    still growing
    answering/SERIES/              complete, being computed
    answered/SERIES/               its results are in the outbox, or sent
    quarantine/SERIES/             could not be answered; SERIES.json beside it says why
    missing/, deleted/             what series lack; see `runtime.service.node.missing`
    senders/                       who sent them; see `runtime.service.node.senders`

A series moves between them by one rename, so that a crash leaves it in one of them; these folders
are all that the node remembers. Names are hashes of the UIDs: nothing that a peer says becomes part
of a path, and no name tells who the patient is.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import secrets
import shutil
import threading
import time
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from runtime.ledger import FILE
from runtime.report.publish import check_writable
from runtime.service import guard, move
from runtime.service.alone import alone
from runtime.service.node.log import node_log
from runtime.service.node.missing import LostObjects
from runtime.service.node.policy import Policy
from runtime.service.node.senders import Senders
from runtime.system import posix
from runtime.system.atomic import write_bytes
from runtime.system.private import own

_PLACES = ("receiving", "answering", "answered", "quarantine")
_PATIENCE = 20
RECORD_DAYS = 90.0
"""What is known of a series that is gone, or of a study's reports, is kept for so long."""


@dataclass(frozen=True)
class Names:
    """What an object and its series are called on disk."""

    series: str
    object: str


def names(study: str, series: str, patient: str, instance: str) -> Names:
    """The names of an object; two patients never share a series, whatever its UID claims."""
    return Names(_hash(study, series, patient), _hash(instance))


def job(folder: Path) -> str:
    """What the answer to a series is called: another name once the series has grown."""
    objects = sorted(file.name for file in folder.iterdir())
    return f"{folder.name}-{hashlib.sha256(chr(0).join(objects).encode()).hexdigest()[:16]}"


def _hash(*words: str) -> str:
    return hashlib.sha256("\0".join(words).encode("utf-8", "surrogatepass")).hexdigest()[:32]


@dataclass(frozen=True)
class _Aside:
    """A series of the quarantine: whether it is unsuited, since when it is there, its bytes."""

    folder: Path
    unsuited: bool
    since: float
    bytes: int


class Inbox:
    """The folders of one node, which no other node may use at the same time.

    Args:
        folder: made if it is absent.
        min_free_bytes: of its disk; below it nothing is stored.

    Raises:
        InputError: if the folder cannot be written, or another node uses it.
    """

    def __init__(self, folder: Path, min_free_bytes: int) -> None:
        if own(folder, FILE):
            node_log("folder_closed", logging.WARNING, why="others could read it")
        check_writable(folder)
        self.folder = folder
        self.temporary = folder / "temporary"
        self._space = guard.SpaceGuard(folder, min_free_bytes)
        self._owned = ExitStack()
        self._owned.enter_context(alone(folder, "node"))
        self._lock = threading.Lock()
        self._arrivals: dict[str, float] = {}
        self._missing = LostObjects(folder)
        self.senders = Senders(folder)
        for place in (*_PLACES, self.temporary.name):
            (folder / place).mkdir(exist_ok=True)
        for scratch in self.temporary.iterdir():
            move.remove(scratch)
        for series in (folder / "receiving").iterdir():
            if not self._reason(series.name).exists():  # else someone moved it out of quarantine
                self._arrivals[series.name] = time.monotonic()

    def close(self) -> None:
        """Let another node use the folder."""
        self._owned.close()

    def store(self, name: Names, parts: Iterable[bytes], size: int, sender: object = None) -> bool:
        """Put an object on disk for good; False if it was there already.

        Args:
            name: of the object.
            parts: its bytes, in order.
            size: how many they are.
            sender: the thread of the association, if its end is to be waited for.

        Raises:
            NoSpace: if the disk is too full.
            OSError: if the object cannot be written; nothing of it is left.
        """
        try:
            with self._lock:
                known = self._known(name)
                self._missing.arriving(name.series, sender, not known)
                if known:
                    self._missing.stored(name.series, name.object)
                    self._reopen(name.series)
                    return False
            return self._write(name, parts, size)
        except OSError:
            with self._lock:
                self._missing.refused(name.series, name.object)
            raise

    def released(self, sender: object) -> None:
        """The thread of an association is about to acknowledge that it was released.

        Raises:
            OSError: if that cannot be written down; a restart takes it for cut off.
        """
        with self._lock:
            self._missing.released(sender)

    def _write(self, name: Names, parts: Iterable[bytes], size: int) -> bool:
        scratch = self.temporary / secrets.token_hex(16)
        try:
            with self._space.reserved(size), scratch.open("xb") as stream:
                for part in parts:
                    stream.write(part)
                stream.flush()
                os.fsync(stream.fileno())
            with self._lock:
                if self._known(name):
                    return False
                series = self._place("receiving", name.series)
                series.mkdir(exist_ok=True)
                scratch.rename(series / f"{name.object}.dcm")
                self._arrivals[name.series] = time.monotonic()
                self._missing.stored(name.series, name.object)
            posix.sync(series)
            return True
        finally:
            scratch.unlink(missing_ok=True)

    def settled(self, settle_s: float) -> dict[str, str]:
        """The series that are waited for no longer, and why one is not whole; "" if it is.

        A series is whole if no new object has come for so long and its senders have released; a
        sender that stays connected is waited for four times as long. One that lost objects is
        waited for `_PATIENCE` times as long, for them to come. A folder that someone put into
        `receiving` counts as a whole series that has just arrived.
        """
        now, found = time.monotonic(), {}
        with self._lock:
            for folder in (self.folder / "receiving").iterdir():
                if folder.name not in self._arrivals:
                    self._missing.forget(folder.name)
                    self._arrivals[folder.name] = now
            for series, arrival in self._arrivals.items():
                # In this order: a sender that is cut off in between is then known to be.
                sending, why = self._missing.sending(series), self._missing.why(series)
                patience = _PATIENCE if why else 4 if sending else 1
                if now - arrival >= patience * settle_s:
                    found[series] = why
        return found

    def taken(self, series: str) -> Path:
        """The folder of a series that was taken."""
        return self._place("answering", series)

    def take(self, series: str) -> Path:
        """Move a settled series to be answered, with what came of it earlier; its new folder."""
        with self._lock:
            for earlier in ("answered", "quarantine", "answering"):
                _merge(self._place(earlier, series), self._place("receiving", series))
            target = self.taken(series)
            self._place("receiving", series).rename(target)
            self._arrivals.pop(series, None)
            if not self._missing.why(series):
                self._missing.forget(series)
        return target

    def lacks(self, series: str) -> bool:
        """Whether a series is known not to be whole, by now."""
        with self._lock:
            return self._missing.why(series) != ""

    def answered(self, series: str) -> None:
        """The results of a series are safe."""
        with self._lock:
            target = self._place("answered", series)
            self._place("answering", series).rename(target)
            os.utime(target)
            self._reason(series).unlink(missing_ok=True)

    def quarantine(self, series: str, reason: str, attempts: int, unsuited: bool = False) -> None:
        """Put a series aside, the reason beside it; `unsuited` ones are deleted first."""
        said = {
            "reason": reason,
            "unsuited": unsuited,
            "attempts": attempts,
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }
        with self._lock:
            write_bytes(self._reason(series), json.dumps(said, indent=1).encode())
            self._place("answering", series).rename(self._place("quarantine", series))

    def give_back(self, series: str) -> None:
        """Put a series that was taken back, to be complete again later."""
        self._back(series, time.monotonic())

    def recover(self) -> None:
        """Put back what was taken, and neither answered nor put aside, as after a crash."""
        for folder in list((self.folder / "answering").iterdir()):
            self._back(folder.name, -math.inf)  # complete already, unless more of it comes

    def _back(self, series: str, arrival: float) -> None:
        with self._lock:
            _merge(self.taken(series), self._place("receiving", series))
            self._arrivals.setdefault(series, arrival)

    def _reopen(self, series: str) -> None:
        """Wait again for a series that was put aside for what it lacked: it is sent once more."""
        aside = self._place("quarantine", series)
        if self._missing.known(series) and aside.exists():
            _merge(aside, self._place("receiving", series))
            self._reason(series).unlink(missing_ok=True)
            self._arrivals[series] = time.monotonic()

    def forget(self, keep_days: float) -> int:
        """Delete the series that were answered longer ago; how many."""
        oldest = time.time() - keep_days * 86400
        old = [f for f in (self.folder / "answered").iterdir() if f.stat().st_mtime < oldest]
        return sum(self._delete(folder) for folder in old)

    def let_go(self, policy: Policy) -> int:
        """Delete series of the quarantine, unsuited and older ones first; how many.

        They go after their days, while they are more than may be, and unsuited ones also while the
        disk has less than twice the space that must be free. What was said of them stays for 90.
        """
        with self._lock:
            folders = [f for f in (self.folder / "quarantine").iterdir() if f.is_dir()]
            aside = sorted(map(self._aside, folders), key=lambda one: (not one.unsuited, one.since))
        now, count = time.time(), 0
        excess = sum(one.bytes for one in aside) - policy.max_quarantine_bytes
        short = 2 * policy.min_free_bytes - self._space.free()
        for one in aside:
            days = policy.unsuited_days if one.unsuited else policy.failed_days
            full = excess > 0 or (one.unsuited and short > 0)
            if (full or now - one.since > days * 86400) and self._delete(one.folder):
                excess, short, count = excess - one.bytes, short - one.bytes, count + 1
        oldest = now - RECORD_DAYS * 86400
        self.senders.sweep(RECORD_DAYS)
        with self._lock:
            self._missing.sweep(oldest)
            for file in (self.folder / "quarantine").glob("*.json"):
                if file.stat().st_mtime < oldest and not file.with_suffix("").exists():
                    file.unlink()
        return count

    def _aside(self, folder: Path) -> _Aside:
        """A series of the quarantine."""
        size = sum(file.stat().st_size for file in folder.iterdir())
        reason = self._reason(folder.name)
        try:
            unsuited = json.loads(reason.read_bytes()).get("unsuited") is True
            return _Aside(folder, unsuited, reason.stat().st_mtime, size)
        except (OSError, ValueError):  # somebody put it there
            return _Aside(folder, False, folder.stat().st_mtime, size)

    def _delete(self, folder: Path) -> bool:
        """Delete a series that is where it was; what comes of it later waits for all of it."""
        scratch = self.temporary / secrets.token_hex(16)
        with self._lock:
            if not folder.exists():
                return False
            self._missing.deleted(folder.name, (file.stem for file in folder.iterdir()))
            folder.rename(scratch)
        shutil.rmtree(scratch)
        return True

    def _known(self, name: Names) -> bool:
        return any((self._place(p, name.series) / f"{name.object}.dcm").exists() for p in _PLACES)

    def _place(self, place: str, series: str) -> Path:
        return self.folder / place / series

    def _reason(self, series: str) -> Path:
        return self.folder / "quarantine" / f"{series}.json"


def _merge(source: Path, target: Path) -> None:
    """Move the files of one folder into another; a crash in between leaves each in one of them."""
    if not source.exists():
        return
    target.mkdir(exist_ok=True)
    for file in source.iterdir():
        file.rename(target / file.name)
    source.rmdir()
