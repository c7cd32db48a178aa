"""The thread that answers: one job after the other, oldest first, until the service ends."""

from __future__ import annotations

import logging
import threading
import time

from fmtool.errors import FmtoolError
from runtime.ledger import Ledger
from runtime.ledger.names import shown
from runtime.service.answer import Order, Outcome, Verdict
from runtime.service.backoff import Backoff
from runtime.service.ending import Ending
from runtime.service.guard import SpaceGuard
from runtime.service.http.jobs import LEDGER, Jobs, Spool
from runtime.service.http.metrics import Metrics
from runtime.service.log import tell
from runtime.service.worker import Worker

SHORT = 12
"""Characters of an id or digest in the log."""

_IDLE_S = 0.5
_RETENTION_S = 3600.0

logger = logging.getLogger("fmtool.http")


class Answering(threading.Thread):
    """Takes jobs from the ledger and gives them to the worker.

    Args:
        spool: see there.
        jobs: to be woken by.
        worker: that answers.
        guard: of the spool's disk.
        metrics: to count in.
        ending: when to stop.
        keep_days: until a settled job is deleted.
    """

    def __init__(
        self,
        spool: Spool,
        jobs: Jobs,
        worker: Worker,
        guard: SpaceGuard,
        metrics: Metrics,
        ending: Ending,
        keep_days: float,
    ) -> None:
        super().__init__(name="answering", daemon=True)
        self._spool = spool
        self._jobs = jobs
        self._worker = worker
        self._guard = guard
        self._metrics = metrics
        self._ending = ending
        self._keep_days = keep_days
        self._backoff = Backoff(logger)
        self._swept = float("-inf")

    @property
    def ready(self) -> bool:
        """Whether a job that comes now is answered."""
        return self.is_alive() and self._worker.alive and not self._backoff.why

    def run(self) -> None:
        """Answer until the end is asked for."""
        with Ledger(self._spool.folder / LEDGER) as ledger:
            while not self._ending.asked:
                try:
                    pause = self._pass(ledger)
                except _Blocked as error:
                    pause = self._backoff.fail(str(error))
                except FmtoolError as error:  # of the ledger, or of the worker's start
                    pause = self._backoff.fail(type(error).__name__, reason=str(error))
                except OSError as error:
                    pause = self._backoff.fail("files", kind=type(error).__name__)
                else:
                    self._backoff.over()
                if self._backoff.why:
                    self._ending.wait(pause)
                elif pause:
                    self._jobs.added.wait(pause)
                    self._jobs.added.clear()
            ledger.release()

    def _pass(self, ledger: Ledger) -> float:
        """Answer the oldest job; the seconds to wait for the next."""
        self._worker.ensure()
        if not self._guard.enough():
            raise _Blocked("disk_full")
        self._sweep(ledger)
        ledger.release()  # what a failed write left claimed
        row = ledger.run("SELECT * FROM items WHERE state = 'waiting' ORDER BY id LIMIT 1")
        found = row.fetchone()
        if found is None:
            return _IDLE_S
        number, identity, content = found["id"], found["source"], found["content"]
        claim = ledger.claim(number)
        if claim == "done":  # the same content was answered before
            self._settled(identity, "known")
        elif claim == "claimed":
            self._answer(ledger, number, identity, content)
        else:
            return _IDLE_S
        return 0.0

    def _answer(self, ledger: Ledger, number: int, identity: str, content: str) -> None:
        source = self._spool.uploads / identity
        # Under its digest, not its id: the page is the same for whoever sent the same scan.
        order = Order(source, self._spool.stage(content), shown("", content, number), content)

        def give_up() -> bool:
            ledger.beat()
            return self._ending.give_up()

        outcome = self._worker(order, give_up)
        if outcome.verdict is Verdict.blocked:
            raise _Blocked(outcome.kind)
        if outcome.verdict is Verdict.stopped:
            return
        if outcome.verdict is Verdict.done:
            self._spool.publish(content)
            ledger.finish(number, outcome.result)
            self._settled(identity, "done", outcome)
        elif outcome.verdict is Verdict.refused:
            ledger.fail(number, outcome.reason)
            self._settled(identity, "refused", outcome)
        elif ledger.fail(number, outcome.reason, passing=True) == "failed":
            self._settled(identity, "broken", outcome)
        else:
            tell(logger, "again", logging.WARNING, job=identity[:SHORT], kind=outcome.kind)

    def _settled(self, identity: str, what: str, outcome: Outcome | None = None) -> None:
        (self._spool.uploads / identity).unlink(missing_ok=True)
        timings = outcome.timings if outcome else {}
        self._metrics.scan(what, timings)
        seconds = {stage: round(s, 3) for stage, s in timings.items()}
        kind = outcome.kind if outcome else ""
        tell(logger, "settled", job=identity[:SHORT], outcome=what, kind=kind, seconds=seconds)

    def _sweep(self, ledger: Ledger) -> None:
        now = time.monotonic()
        if now - self._swept >= _RETENTION_S:
            self._swept = now
            count = self._spool.forget(ledger, self._keep_days)
            if count:
                tell(logger, "forgotten", jobs=count)


class _Blocked(Exception):
    """Nothing more can be written just now."""
