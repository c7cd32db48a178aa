"""A batch: scans prepared in worker processes, answered one by one here, recorded in the ledger.

    inputs -> ledger -> workers (read and prepare) -> network -> ledger -> files

The network runs in this process on all cores, one scan at a time: two at once cost the same
processor time per scan (measured with OpenVINO in float32). No more than a few scans per worker are
under way, which bounds the memory.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from fmtool.errors import CapabilityError
from runtime.batch import resources
from runtime.batch.enrol import Enrolled
from runtime.batch.pool import Pool
from runtime.batch.scratch import Scratch
from runtime.batch.stop import Stop
from runtime.batch.wire import Broken, Packed, Refused, unpack
from runtime.batch.worker import Job, Setup
from runtime.ledger import Identifiers, Ledger
from runtime.ledger.ledger import State
from runtime.ledger.names import without_path
from runtime.predict import Predictor
from runtime.publish import Publisher

_UNDER_WAY = 3  # scans per worker: one in work, one waiting for it, one for the network
_PATIENCE = 0.25  # seconds between looks at the signals, the disk and other processes' claims


@dataclass
class Batch:
    """What is to be done, and how.

    Attributes:
        scans: the command's, in order, in the ledger.
        ledger: open.
        folder: of the results; temporary files go to a folder in it that is removed at the end.
        predictor: made with `prepares=False`; entered once there is something to do.
        setup: for the workers; its scratch folder is replaced.
        settled: called once for each scan that becomes "done", "failed" or "quarantined", and with
            why.
        publisher: of the reports; None for none.
        workers: processes; by the cores and the memory when absent.
        stop: entered by the caller; once it has a signal, nothing new is begun.
    """

    scans: Sequence[Enrolled]
    ledger: Ledger
    folder: Path
    predictor: Predictor
    setup: Setup
    settled: Callable[[State, str], None]
    publisher: Publisher | None = None
    workers: int | None = None
    stop: Stop = field(default_factory=Stop)


def run(batch: Batch) -> None:
    """Answer what waits, until all is settled or `batch.stop` has a signal.

    However it ends, what was begun and is not done waits again.

    Raises:
        LedgerError: if the ledger cannot be written.
        InputError: if the disk is nearly full.
        CapabilityError: if the workers cannot work here.
        EngineError, ParityError, BundleError: see `Predictor`.
    """
    with ExitStack() as stack:
        stack.callback(batch.ledger.release)
        _Run(batch, stack).until_settled()


class _Run:
    def __init__(self, batch: Batch, stack: ExitStack) -> None:
        self._batch = batch
        self._stack = stack
        scans = {scan.item: scan for scan in batch.scans}.values()
        self._todo = deque(
            scan for scan in scans if batch.ledger.state(scan.item) in ("waiting", "running")
        )
        self._under_way: dict[int, Enrolled] = {}
        self._workers = batch.workers or resources.workers(len(self._todo))
        self._pool: Pool | None = None
        # Names in the order of the command, so that a run that is resumed gives the same ones.
        self._pages = {
            scan.item: batch.publisher.name(scan.shown) if batch.publisher else "" for scan in scans
        }

    def until_settled(self) -> None:
        """Claim, hand out, take in, until nothing is left or the signal comes."""
        while (self._todo or self._under_way) and self._batch.stop.signal is None:
            self._batch.ledger.beat()
            resources.check_space(self._batch.folder)
            self._begin()
            if self._pool is None or not self._under_way:
                if self._todo:
                    time.sleep(_PATIENCE)  # all that is left is in other processes' hands
                continue
            reply = self._pool.reply(_PATIENCE)
            if reply is not None and self._batch.stop.signal is None:
                self._take(*reply)

    def _begin(self) -> None:
        """Claim and hand out as much as may be under way."""
        most = _UNDER_WAY * self._workers
        elsewhere: list[Enrolled] = []
        while self._todo and len(self._under_way) < most and len(elsewhere) < most:
            scan = self._todo.popleft()
            claim = self._batch.ledger.claim(scan.item)
            if claim == "claimed":
                self._under_way[scan.item] = scan
                self._opened().submit(Job(scan.item, scan.source, scan.stat))
            elif claim == "busy":
                elsewhere.append(scan)
            else:
                self._batch.settled(claim, "")
        self._todo.extend(elsewhere)

    def _opened(self) -> Pool:
        """The workers, and the network, which is loaded while they start."""
        if self._pool is None:
            scratch = self._stack.enter_context(Scratch(self._batch.folder))
            setup = replace(self._batch.setup, scratch=scratch.folder)
            self._pool = self._stack.enter_context(Pool(setup, self._workers))
            self._stack.enter_context(self._batch.predictor)
        return self._pool

    def _take(self, item: int, reply: Packed | Refused | Broken) -> None:
        """Answer a scan that is prepared, and record it; or record why it is not."""
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
        result = self._batch.predictor.answer(unpack(reply))
        data = result.to_dict()
        data |= {"scan": scan.shown}
        data["warnings"] = [self._said(sentence, scan) for sentence in data["warnings"]]
        if self._batch.publisher:  # first, so that what the ledger calls done has its page
            drawn = reply.pictures | self._batch.publisher.maps(result)
            self._batch.publisher.put(self._pages[item], data, drawn)
        del self._under_way[item]
        if ledger.finish(item, data):
            self._batch.settled("done", "")
        else:
            self._todo.append(scan)  # another process took it: it says what became of it

    def _said(self, sentence: str, scan: Enrolled) -> str:
        if self._batch.ledger.identifiers == Identifiers.keep:
            return sentence.encode("utf-8", "backslashreplace").decode()
        return without_path(sentence, scan.name, scan.shown)
