"""The service's jobs for the answering loop: the oldest that waits, from the spool."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from runtime.ledger import Ledger
from runtime.ledger.names import shown
from runtime.ledger.outcomes import oldest
from runtime.service.answer import Outcome
from runtime.service.http.jobs import Spool
from runtime.service.http.metrics import Metrics
from runtime.service.loop import SHORT, Front, Work


class HttpFront(Front):
    """Jobs of a spool, where nobody else writes; pages are kept as long as answers.

    Args:
        spool: see there.
        ledger: of the loop's thread.
        metrics: to count in.
        keep_days: until a settled job is deleted.
    """

    logger = logging.getLogger("fmtool.http")
    poll_s = 0.1
    spools = True

    def __init__(self, spool: Spool, ledger: Ledger, metrics: Metrics, keep_days: float) -> None:
        self._spool = spool
        self._ledger = ledger
        self._metrics = metrics
        self._keep_days = keep_days
        self.staging = spool.pages

    def ready(self) -> Sequence[Work]:
        """The job that waits longest."""
        found = oldest(self._ledger)
        if found is None:
            return []
        identity, content = found[0].scan, str(found[0].content)
        # Under its digest, not its id: the page is the same for whoever sent the same scan.
        scan, upload = shown("", content, 0), self._spool.uploads / identity
        return [Work(identity, upload, scan, {"job": identity[:SHORT]}, state=content)]

    def begin(self, work: Work) -> str:
        """The upload's digest, which is known."""
        return str(work.state)

    def publish(self, work: Work, content: str, timings: Mapping[str, float]) -> bool:
        """Put the page in its place."""
        if timings:
            self._spool.publish(content)
        return self._settled(work, "done" if timings else "known", timings)

    def aside(self, work: Work, outcome: Outcome, attempts: int) -> bool:
        """Let go of the upload; the ledger has the reason."""
        return self._settled(work, outcome.fate.value)

    def sweep(self) -> int:
        """Delete settled jobs."""
        return self._spool.forget(self._ledger, self._keep_days)

    def _settled(self, work: Work, what: str, timings: Mapping[str, float] | None = None) -> bool:
        work.source.unlink(missing_ok=True)
        self._metrics.scan(what, timings)
        return True
