"""What the peer has stored and is still to say that it keeps; until then it stays in the outbox.

    committing/JOB.json    of each document that was stored: how often and when it was asked

A peer that offers no storage commitment is believed once it has stored a document.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from pathlib import Path
from uuid import uuid4

from pydicom import dcmread

from runtime.service.backoff import Backoff
from runtime.service.node.log import node_log
from runtime.service.node.peers import NotTaken, Unreached
from runtime.service.node.peers.commit import CommitmentReport, CommitRoute
from runtime.system.atomic import sweep, write_bytes

_FIRST_S, _LONGEST_S = 5.0, 600.0  # between requests that were not taken, and before sending anew
_STAY_S = 2.0  # for a report in the request's own association
_ASKS = 24  # for a document: a day, where the peer takes the request and reports nothing
_ROUNDS = 4  # that a document is stored in, and then not kept
_NEVER = (0x0119, 0x0122)  # failure reasons: it is of no class that the peer keeps

Aside = Callable[[str, Path, str], None]
"""Puts a document of a job aside, for a reason."""


@dataclass
class _Stored:
    """A document that the peer has stored.

    Attributes:
        sop_class, instance: its UIDs.
        asked: when the peer was last asked to keep it, seconds of the epoch; 0 if it is to be.
        asks: how often, since it was stored.
        offered: whether the peer agreed on such requests at one of them.
        rounds: how often it was stored and then not kept.
        again: when it is to be sent again, seconds of the epoch; None if it is stored.
    """

    sop_class: str
    instance: str
    asked: float = 0.0
    asks: int = 0
    offered: bool = False
    rounds: int = 0
    again: float | None = None


@dataclass
class _Job:
    """The documents of a job by name, those that are kept, and the requests made for it."""

    documents: dict[str, _Stored] = field(default_factory=dict)
    kept: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


class Commitments:
    """The documents of an outbox that a peer has stored; used by the sender, and by its reports.

    Args:
        folder: the node's; `committing` is made in it.
        outgoing: where the jobs are.
        aside: what becomes of a document that is not kept.
        route: to the peer.
        wait_s: for a report, until the peer is asked again.

    Attributes:
        reporter: the AE title that reports come from.
    """

    def __init__(
        self, folder: Path, outgoing: Path, aside: Aside, route: CommitRoute, wait_s: float
    ) -> None:
        self._folder, self._outgoing = folder / "committing", outgoing
        self._aside, self._route, self._wait_s = aside, route, wait_s
        self._news = threading.Condition()  # its lock guards the jobs
        self.reporter = route.aet
        self._away = Backoff(_FIRST_S, _LONGEST_S)
        self._offered: bool | None = None
        self._folder.mkdir(exist_ok=True)
        sweep(self._folder)
        self._jobs: dict[str, _Job] = {}
        for file in self._folder.glob("*.json"):
            if (outgoing / file.stem).is_dir():
                self._jobs[file.stem] = self._read(file)
            else:
                file.unlink()

    def hold(self, job: str, name: str) -> bool:
        """Whether a document is not to be sent now: the peer has it, or had it a moment ago."""
        with self._news:
            found = self._of(job).documents.get(name)
            return found is not None and (
                found.again is None or 0 < found.again - time.time() <= _LONGEST_S
            )

    def stored(self, job: str, file: Path) -> None:
        """Note that the peer has stored a document: it is to be asked to keep it."""
        head = dcmread(file, specific_tags=["SOPClassUID", "SOPInstanceUID"])
        with self._news:
            its = self._of(job)
            before = its.documents.get(file.name)
            its.documents[file.name] = _Stored(
                str(head.SOPClassUID),
                str(head.SOPInstanceUID),
                rounds=before.rounds if before else 0,
            )
            self._write(job, its)

    def pursue(self, job: str) -> None:
        """Ask the peer to keep what it has stored of a job, if it is time to."""
        with self._news:
            if not self._away.due:
                return
            due = self._due(job)
            if not due:
                return
            transaction = f"2.25.{uuid4().int}"
            its = self._of(job)
            its.requests.append(transaction)
            self._write(job, its)  # its report may come before the answer to the request
        instances = [(one.sop_class, one.instance) for one in due.values()]
        try:
            self._route.ask(transaction, instances, self.heed, lambda: self._stay(job, due))
        except Unreached as error:
            with self._news:
                self._of(job).requests.remove(transaction)
                self._count(job, due if error.answered else (), offered=False)
            node_log("peer_unreachable", why=str(error), again_in_s=self._away.longer())
        except NotTaken as error:
            if error.lasting:
                self._believe(job, due, str(error))
                return
            self._count(job, due, offered=True)
            facts = {**error.facts, "why": str(error)}
            node_log("commitment_not_taken", job=job, **facts, again_in_s=self._away.longer())
        else:
            self._away.over()

    def heed(self, report: CommitmentReport) -> None:
        """Note what the peer says that it keeps, and what not.

        Raises:
            OSError, InputError: if it cannot be noted.
        """
        with self._news:
            found = self._of_request(report.transaction)
            if found is None:
                return  # nobody waits for it any more
            job, its = found[0], deepcopy(found[1])
            named = {name: one for name, one in its.documents.items() if one.again is None}
            kept = [name for name, one in named.items() if one.instance in report.kept]
            lost = {
                name: report.failed[one.instance]
                for name, one in named.items()
                if one.instance in report.failed
            }
            for name in kept:
                del its.documents[name]
            its.kept += kept
            for name in lost:
                one = named[name]
                one.rounds += 1
                one.again = time.time() + min(_FIRST_S * 2**one.rounds, _LONGEST_S)
            self._write(job, its)
            for name in kept:
                (self._outgoing / job / name).unlink(missing_ok=True)
            node_log("commitment_reported", job=job, kept=len(kept), lost=len(lost))
            for name, reason in lost.items():
                said = f"0x{reason:04X}"
                node_log("document_not_kept", job=job, document=name, status=said)
                if reason in _NEVER or named[name].rounds >= _ROUNDS:
                    self._put_aside(job, name, f"the peer does not keep it: {said}")
            self._news.notify_all()

    def kept(self, job: str) -> list[str]:
        """The documents of a job that the peer keeps."""
        with self._news:
            return sorted(self._of(job).kept)

    def forget(self, job: str) -> None:
        """Nothing of a job is left."""
        with self._news:
            self._jobs.pop(job, None)
            (self._folder / f"{job}.json").unlink(missing_ok=True)

    def _due(self, job: str) -> dict[str, _Stored]:
        """What the peer is to be asked to keep now; what it was asked too often is let go."""
        now, due, its = time.time(), {}, self._of(job).documents
        for name, one in list(its.items()):
            if not (self._outgoing / job / name).exists():  # somebody took it away
                del its[name]
                continue
            # A clock that was put back must not make it wait for longer.
            if one.again is not None or 0 <= now - one.asked < self._wait_s:
                continue
            if one.asks < _ASKS:
                due[name] = one
            elif one.offered:
                self._put_aside(job, name, "the peer was asked to keep it and never said so")
            else:
                self._believe(job, [name], "it takes no such request")
        return due

    def _stay(self, job: str, due: Iterable[str]) -> None:
        """The peer took the request: note it, and wait a little for its report."""
        with self._news:
            for name in due:
                if (one := self._of(job).documents.get(name)) is not None:
                    one.asked = time.time()
            self._count(job, due, offered=True)
            self._say_offered(True, None)
            self._news.wait_for(lambda: not any(self._awaited(job, name) for name in due), _STAY_S)

    def _awaited(self, job: str, name: str) -> bool:
        found = self._of(job).documents.get(name)
        return found is not None and found.again is None

    def _count(self, job: str, due: Iterable[str], offered: bool) -> None:
        with self._news:
            its = self._of(job)
            for name in due:
                if (one := its.documents.get(name)) is not None:
                    one.asks, one.offered = one.asks + 1, one.offered or offered
            self._write(job, its)

    def _believe(self, job: str, due: Iterable[str], why: str) -> None:
        """The peer offers no commitment: what it has stored counts as safe."""
        with self._news:
            its = self._of(job)
            for name in due:
                (self._outgoing / job / name).unlink(missing_ok=True)
                its.documents.pop(name, None)
            self._write(job, its)
            self._say_offered(False, why)

    def _say_offered(self, offered: bool, why: str | None) -> None:
        if offered != self._offered:
            self._offered = offered
            facts = {} if why is None else {"why": why}
            node_log("commitment_offered" if offered else "commitment_not_offered", **facts)

    def _put_aside(self, job: str, name: str, reason: str) -> None:
        self._aside(job, self._outgoing / job / name, reason)
        self._of(job).documents.pop(name, None)
        self._write(job, self._of(job))
        node_log("document_put_aside", job=job, document=name, why=reason)

    def _of_request(self, transaction: str) -> tuple[str, _Job] | None:
        return next((o for o in self._jobs.items() if transaction in o[1].requests), None)

    def _of(self, job: str) -> _Job:
        return self._jobs.setdefault(job, _Job())

    def _write(self, job: str, its: _Job) -> None:
        write_bytes(self._folder / f"{job}.json", json.dumps(asdict(its)).encode())
        self._jobs[job] = its

    def _read(self, file: Path) -> _Job:
        """A job as it was noted; what was to be deleted is gone after this.

        Where that cannot be told, nothing of it counts as stored.
        """
        try:
            said = json.loads(file.read_bytes())
            its = _Job(
                {name: _Stored(**one) for name, one in said["documents"].items()},
                [str(name) for name in said["kept"]],
                [str(uid) for uid in said["requests"]],
            )
        except (ValueError, LookupError, TypeError, AttributeError):
            node_log("commitment_forgotten", logging.WARNING, job=file.stem)
            return _Job()
        for name in its.kept:
            (self._outgoing / file.stem / name).unlink(missing_ok=True)
        return its
