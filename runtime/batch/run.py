"""A batch: its scans claimed, handed to workers, and recorded in the ledger as they come back.

    inputs -> ledger -> workers (read, prepare, network) -> ledger -> files

Only this process has the ledger open; the workers are this machine's (`here`) or a cluster's.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from fmtool.errors import CapabilityError
from runtime.batch import resources
from runtime.batch.enrol import Enrolled
from runtime.batch.stop import Stop
from runtime.batch.wire import Answered, Broken, Refused
from runtime.batch.worker import Job
from runtime.batch.workers import Workers
from runtime.ledger import Identifiers, Ledger
from runtime.ledger.ledger import State
from runtime.ledger.names import without_path

_PATIENCE = 0.25  # seconds between looks at the signals, the disk and other processes' claims
_ELSEWHERE = 64  # scans in other processes' hands that are looked at before a reply is


class Publishing(Protocol):
    """Makes a result's own files; `runtime.report.publish.Publisher` is one."""

    def name(self, scan: str) -> str:
        """What a scan's files are called; to be asked once for each scan, in a stable order."""

    def wants(self, name: str, content: str | None) -> bool:
        """Whether a scan is to be answered again although the ledger has its result."""

    def put(self, name: str, data: dict[str, Any], files: Mapping[str, bytes]) -> Path:
        """Write a result's files; the first of them to open."""

    def write_index(self, failures: Sequence[Mapping[str, Any]] = ()) -> Path:
        """Write what leads to them all; its path."""


@dataclass
class BatchPlan:
    """What is to be done, and how.

    Attributes:
        scans: the command's, in order, in the ledger.
        ledger: open.
        folder: of the results.
        hire: see `Staff`; called once there is something to do.
        settled: called once for each scan that becomes "done", "failed" or "quarantined", and with
            why.
        publisher: of the results' own files; None for none.
        begun: called once, with the number of scans that are to be answered.
        stop: entered by the caller; once it has a signal, nothing new is begun.
    """

    scans: Sequence[Enrolled]
    ledger: Ledger
    folder: Path
    hire: Callable[[int], AbstractContextManager[Workers]]
    settled: Callable[[State, str], None]
    publisher: Publishing | None = None
    begun: Callable[[int], None] = lambda count: None
    stop: Stop = field(default_factory=Stop)


def run(batch: BatchPlan) -> None:
    """Answer what waits, until all is settled or `batch.stop` has a signal.

    However it ends, what was begun and is not done waits again.

    Raises:
        LedgerError: if the ledger cannot be written.
        InputError: if the disk is nearly full.
        CapabilityError: if the workers cannot work here.
        FmtoolError: what `batch.hire` raises.
    """
    with ExitStack() as stack:
        stack.callback(batch.ledger.release)
        _Run(batch, stack).until_settled()


class _Run:
    def __init__(self, batch: BatchPlan, stack: ExitStack) -> None:
        self._batch = batch
        self._stack = stack
        scans = {scan.item: scan for scan in batch.scans}.values()
        self._under_way: dict[int, Enrolled] = {}
        self._workers: Workers | None = None
        # Names in the order of the command, so that a run that is resumed gives the same ones.
        self._pages = {
            scan.item: batch.publisher.name(scan.shown) if batch.publisher else "" for scan in scans
        }
        self._todo = deque(
            scan
            for scan in scans
            if (state := batch.ledger.state(scan.item)) in ("waiting", "running")
            or (state == "done" and self._lacks(scan))
        )

    def until_settled(self) -> None:
        """Claim, hand out, take in, until nothing is left or the signal comes."""
        self._batch.begun(len(self._todo))
        while (self._todo or self._under_way) and self._batch.stop.signal is None:
            self._batch.ledger.beat()
            resources.check_space(self._batch.folder)
            self._begin()
            if self._workers is None or not self._under_way:
                if self._todo:
                    time.sleep(_PATIENCE)  # all that is left is in other processes' hands
                continue
            reply = self._workers.reply(_PATIENCE)
            if reply is not None:
                self._take(*reply)

    def _begin(self) -> None:
        """Claim and hand out as much as may be under way."""
        elsewhere: list[Enrolled] = []
        while self._todo and len(elsewhere) < _ELSEWHERE and self._room():
            scan = self._todo.popleft()
            claim = self._batch.ledger.claim(scan.item, anew=self._lacks(scan))
            if claim == "claimed":
                self._under_way[scan.item] = scan
                self._opened().submit(Job(scan.item, scan.source, scan.stat, scan.content))
            elif claim == "busy":
                elsewhere.append(scan)
            else:
                self._batch.settled(claim, "")
        self._todo.extend(elsewhere)

    def _lacks(self, scan: Enrolled) -> bool:
        """Whether its own files are missing, whatever the ledger has."""
        publisher = self._batch.publisher
        return publisher is not None and publisher.wants(self._pages[scan.item], scan.content)

    def _room(self) -> bool:
        return self._workers is None or len(self._under_way) < self._workers.most

    def _opened(self) -> Workers:
        if self._workers is None:
            left = len(self._todo) + len(self._under_way)
            self._workers = self._stack.enter_context(self._batch.hire(left))
        return self._workers

    def _take(self, item: int, reply: Answered | Refused | Broken) -> None:
        """Record what came of a scan."""
        if isinstance(reply, Broken):
            raise CapabilityError(reply.sentence)
        scan, ledger = self._under_way[item], self._batch.ledger
        if isinstance(reply, Refused):
            sentence = self._said(reply.sentence, scan)
            state = ledger.fail(item, sentence, reply.passing)
            del self._under_way[item]
            if state in ("waiting", "running"):
                self._todo.append(scan)
            else:
                self._batch.settled(state, sentence)
            return
        data = reply.data | {"scan": scan.shown}
        data["warnings"] = [self._said(sentence, scan) for sentence in data["warnings"]]
        if self._batch.publisher:  # first, so that what the ledger calls done has its page
            told = data | {"content": scan.content}
            self._batch.publisher.put(self._pages[item], told, reply.pictures)
        del self._under_way[item]
        if ledger.finish(item, data):
            self._batch.settled("done", "")
        else:
            self._todo.append(scan)  # another process took it: it says what became of it

    def _said(self, sentence: str, scan: Enrolled) -> str:
        if self._batch.ledger.identifiers == Identifiers.keep:
            return sentence.encode("utf-8", "backslashreplace").decode()
        return without_path(sentence, scan.name, scan.shown)
