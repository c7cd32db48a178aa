"""The node's series for the answering loop: complete ones from the inbox, documents to the peer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from runtime.ledger.content import content_digest
from runtime.service import move
from runtime.service.answer import Fate, Outcome
from runtime.service.loop import Front, Work
from runtime.service.node import studies
from runtime.service.node.log import logger, node_log
from runtime.service.node.outgoing import Outgoing
from runtime.service.node.policy import Policy
from runtime.service.node.storage import RECORD_DAYS, Inbox, job

_PAUSE_S = 0.2
_UNSUITED = ("InputError", "PreprocessingError")  # what the series is; not what this machine lacks


class NodeFront(Front):
    """Series of an inbox; nothing is added to one that is taken.

    Args:
        inbox, outbox: see there.
        policy: what is complete, and what is kept.
        tasks: in the documents; all when None.
    """

    logger = logger
    anew = True  # someone moved it out of quarantine, or its sender sent more of it

    def __init__(
        self, inbox: Inbox, outbox: Outgoing, policy: Policy, tasks: tuple[str, ...] | None
    ) -> None:
        self.poll_s, self.tasks, self.staging = _PAUSE_S, tasks, inbox.temporary
        self._inbox, self._outbox, self._policy = inbox, outbox, policy
        self._cut = False

    def ready(self) -> Sequence[Work]:
        """The series that are settled; what was begun and not ended waits again first."""
        self._inbox.recover()
        return [
            self._work(series, lacks)
            for series, lacks in self._inbox.settled(self._policy.settle_s).items()
        ]

    def _work(self, series: str, lacks: str) -> Work:
        senders = self._inbox.senders.of(series)
        facts = {"series": series, "senders": senders}
        place, sender = self._inbox.taken(series), " ".join(senders)
        return Work(series, place, "the series", facts, lacks, sender=sender)

    def begin(self, work: Work) -> str:
        """Have the series, with what came of it before, where nothing is added to it."""
        folder = self._inbox.take(work.name)
        self._cut = self._inbox.lacks(work.name)  # since it was settled
        if not self._cut:
            node_log("series_complete", objects=len(list(folder.iterdir())), **work.facts)
        return content_digest(folder)

    def unchanged(self, work: Work) -> bool:
        """Whether nothing of the series was lost before it was taken."""
        return not self._cut

    def recall(self, work: Work, content: str, data: Mapping[str, Any]) -> bool:
        """Whether the documents are in the outbox, or sent: they are not made from the ledger."""
        return self._outbox.known(job(work.source))

    def publish(self, work: Work, content: str, timings: Mapping[str, float]) -> bool:
        """Put the documents into the outbox."""
        if timings:
            self._outbox.put(job(work.source), move.staged(self.staging, content))
        self._inbox.answered(work.name)
        return True

    def aside(self, work: Work, outcome: Outcome, attempts: int) -> bool:
        """Move the series into quarantine, the reason beside it."""
        if work.refused:  # it was never begun
            self._inbox.take(work.name)
        unsuited = outcome.fate is Fate.refused and outcome.kind in _UNSUITED
        self._inbox.quarantine(work.name, outcome.reason, attempts, unsuited)
        return True

    def later(self, work: Work) -> None:
        """Put the series back."""
        self._inbox.give_back(work.name)

    def said(self, work: Work, sentence: str) -> str:
        """Where the sentence is: it stays with the data, as it may name the patient."""
        return f"quarantine/{work.name}.json says why it was not answered"

    def sweep(self) -> int:
        """Delete series that were answered or put aside, and forget what was sent."""
        policy = self._policy
        self._outbox.forget(policy.keep_days)
        self._outbox.let_go(policy.failed_days)
        studies.sweep(self._inbox.folder, RECORD_DAYS)
        return self._inbox.forget(policy.keep_days) + self._inbox.let_go(policy)
