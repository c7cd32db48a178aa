"""The outbox: documents on disk until the peer has acknowledged each of them, or never will.

    outgoing/JOB/1.dcm, 2.fhir     to be sent; a file goes when it is acknowledged, or, where the
                                   peer offers that, committed (`runtime.service.node.commitment`)
    refused/JOB/1.dcm, 1.json      the peer will not take it, and why
    sent/JOB.json                  nothing of it waits any more

Each document is sent by itself and has a fate of its own: what one meets holds up no other. A
document whose acknowledgement got lost is sent again as the same object: the peer keeps one.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fmtool.errors import FmtoolError
from runtime.service import move
from runtime.service.backoff import Backoff
from runtime.service.ending import Ending
from runtime.service.node.commitment import Commitments
from runtime.service.node.log import node_log
from runtime.service.node.peers import NotTaken, Route, Unreached
from runtime.system import heap, posix
from runtime.system.atomic import write_bytes

_FIRST_S, _LONGEST_S = 5.0, 600.0  # between attempts: doubled from the one to the other
_KINDS = (".dcm", ".fhir")
_TRIES = 10  # at a document whose refusal does not say whether it may pass


class Outgoing:
    """Jobs on disk: the documents of one answer, to be sent together.

    Args:
        folder: the node's; `outgoing`, `refused` and `sent` are made in it.

    Attributes:
        outgoing: the folder of the jobs.
    """

    def __init__(self, folder: Path) -> None:
        self.outgoing, self._sent = folder / "outgoing", folder / "sent"
        self._refused = folder / "refused"
        for place in (self.outgoing, self._sent, self._refused):
            place.mkdir(parents=True, exist_ok=True)

    def known(self, job: str) -> bool:
        """Whether a job waits, or was sent."""
        return (self.outgoing / job).exists() or (self._sent / f"{job}.json").exists()

    def put(self, job: str, staged: Path) -> None:
        """Queue a folder of documents, all of them or none.

        Raises:
            OSError: if that cannot be; the folder is still there.
        """
        staged.rename(self.outgoing / job)
        posix.sync(self.outgoing)

    def jobs(self) -> list[str]:
        """What waits, oldest first."""
        folders = (entry for entry in self.outgoing.iterdir() if entry.is_dir())
        return [f.name for f in sorted(folders, key=lambda f: (f.stat().st_mtime, f.name))]

    def files(self, job: str) -> list[Path]:
        """The documents of a job that are not acknowledged."""
        return _documents(self.outgoing / job)

    def put_aside(self, job: str, file: Path, reason: str) -> None:
        """Send a document no more; the reason beside it."""
        place = self._refused / job
        place.mkdir(exist_ok=True)
        said = {"reason": reason, "time": _now()}
        write_bytes(place / f"{file.stem}.json", json.dumps(said, indent=1).encode())
        file.rename(place / file.name)

    def done(self, job: str, committed: list[str]) -> int:
        """Nothing of a job waits any more; how many of its documents were put aside."""
        refused = [file.name for file in _documents(self._refused / job)]
        said = {"sent": _now(), "committed": committed, "refused": refused}
        write_bytes(self._sent / f"{job}.json", json.dumps(said).encode())
        move.remove(self.outgoing / job)  # with the reasons, if somebody moved it back with them
        return len(refused)

    def forget(self, keep_days: float) -> None:
        """Forget what was sent longer ago."""
        _remove_older(self._sent, keep_days)

    def let_go(self, failed_days: float) -> None:
        """Delete what was put aside longer ago."""
        _remove_older(self._refused, failed_days)


def _documents(folder: Path) -> list[Path]:
    return sorted(file for kind in _KINDS for file in folder.glob(f"*{kind}"))


def _remove_older(place: Path, days: float) -> None:
    for entry in place.iterdir():
        if entry.stat().st_mtime < time.time() - days * 86400:
            move.remove(entry)


@dataclass
class _Waiting:
    """A document that was not taken yet: when it is tried again, and how often it was refused."""

    backoff: Backoff = field(default_factory=lambda: Backoff(_FIRST_S, _LONGEST_S))
    refusals: int = 0


class Sender:
    """Sends what is in the outbox, again and again until it is acknowledged or refused for good.

    Args:
        outbox: where the documents wait.
        routes: by the end of a document's name, where it goes; one without a route waits.
        commitments: of the DICOM documents; None for a peer that keeps what it has acknowledged.
    """

    def __init__(
        self,
        outbox: Outgoing,
        routes: Mapping[str, Route],
        commitments: Commitments | None = None,
    ) -> None:
        self._outbox, self._routes, self._commitments = outbox, routes, commitments
        self._waiting: dict[Path, _Waiting] = {}
        # By kind of document: some peers refuse an association for what it offers.
        self._away: dict[str, Backoff] = {}

    def run(self, ending: Ending, pause_s: float) -> None:
        """Send until the end is asked for, looking for work so often."""
        while not ending.wait(pause_s):
            try:
                self.send_due(ending)
            except (OSError, FmtoolError) as error:  # the disk, not the peer: nothing is lost
                number = getattr(error, "errno", None)
                node_log("outbox_trouble", exception=type(error).__name__, errno=number)
                ending.wait(_FIRST_S)

    def send_due(self, ending: Ending) -> None:
        """Try every document whose time has come, once; none while the peer is away."""
        for job in self._outbox.jobs():
            for file in self._outbox.files(job):
                if ending.asked:
                    return
                self._try(job, file)
            kept = self._commitments
            if kept is not None:
                kept.pursue(job)
            if not self._outbox.files(job):
                refused = self._outbox.done(job, kept.kept(job) if kept else [])
                if kept is not None:
                    kept.forget(job)
                facts = {"refused": refused} if refused else {}
                node_log("not_all_sent" if refused else "sent", job=job, **facts)
                heap.give_back()  # a job's documents are megabytes, of which glibc keeps some

    def _try(self, job: str, file: Path) -> None:
        """Send a document if its time has come, and note what came of it."""
        route = self._routes.get(file.suffix)
        asked = self._commitments if file.suffix == ".dcm" else None
        if route is None or (asked is not None and asked.hold(job, file.name)):
            return
        waiting = self._waiting.setdefault(file, _Waiting())
        away = self._away.setdefault(file.name, Backoff(_FIRST_S, _LONGEST_S))
        if not (waiting.backoff.due and away.due):
            return
        facts = {"job": job, "document": file.name}
        try:
            route.send(file)
        except Unreached as error:
            node_log("peer_unreachable", why=str(error), again_in_s=away.longer())
            return
        except NotTaken as error:
            waiting.refusals += error.lasting is None
            node_log("document_refused", **facts, **error.facts, why=str(error))
            if error.lasting or waiting.refusals == _TRIES:
                self._outbox.put_aside(job, file, str(error))
                del self._waiting[file]
                node_log("document_put_aside", **facts, **error.facts)
            else:
                node_log("send_failed", **facts, again_in_s=waiting.backoff.longer())
        else:
            if asked is None:
                file.unlink()
            else:
                asked.stored(job, file)
            del self._waiting[file]
        away.over()


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
