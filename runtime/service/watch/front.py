"""Watch: what appears in an inbox is answered into an outbox, each content once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtime.ledger.content import content_digest
from runtime.ledger.ledger import STATES
from runtime.ledger.names import Identifiers, without_path
from runtime.service import move
from runtime.service.answer import Order, Outcome, pages, put
from runtime.service.guard import is_full
from runtime.service.log import tell
from runtime.service.loop import Front, Work
from runtime.service.watch.look import Settling, look, names
from runtime.service.watch.outbox import Outbox

_NAMELESS = "the scan"
_TWIN = (
    "The same scan was answered before under another name: this is that answer, without its "
    "pictures."
)

logger = logging.getLogger("fmtool.watch")


@dataclass(frozen=True)
class WatchSettings:
    """What is watched, and how.

    Attributes:
        inbox: where scans appear.
        settle_s: without a change until an item is complete.
        tasks: to show; all when None.
        once: end when the inbox is empty.
        keep_days: until the original of an answer is deleted; never when None.
    """

    inbox: Path
    settle_s: float = 30.0
    tasks: tuple[str, ...] | None = None
    once: bool = False
    keep_days: float | None = None

    @property
    def poll_s(self) -> float:
        """Between two looks at the inbox."""
        return min(max(self.settle_s / 4, 0.02), 5.0)


class WatchFront(Front):
    """One inbox, one outbox.

    Args:
        settings: see there.
        outbox: where answers go.
        identifiers: what the ledger keeps of the items' names.
        digest: gives the digest of an item; raises OSError if it cannot be read.
    """

    logger = logger
    takes_in = True

    def __init__(
        self,
        settings: WatchSettings,
        outbox: Outbox,
        identifiers: Identifiers,
        digest: Callable[[Path], str] = content_digest,
    ) -> None:
        self._digest = digest
        self.poll_s, self.tasks, self.staging = settings.poll_s, settings.tasks, outbox.folder
        self.stuck: set[str] = set()
        self._settings = settings
        self._outbox = outbox
        self._identifiers = identifiers
        self._settling = Settling(settings.inbox, settings.settle_s)

    def ready(self) -> Sequence[Work] | None:
        """The items that are complete, the longest unchanged first."""
        found = self._settling.update(names(self._settings.inbox))
        if self._settings.once and not self._settling.held - self.stuck:
            return None
        return [
            Work(name, self._settings.inbox / name, name, {"name": name}, state.refused, state)
            for name, state in found
        ]

    def begin(self, work: Work) -> str:
        """The digest of the item's bytes."""
        return self._digest(work.source)

    def unchanged(self, work: Work) -> bool:
        """Whether an item is still as it was."""
        try:
            return bool(look(work.source).fingerprint == work.state.fingerprint)
        except OSError:
            return False

    def recall(self, work: Work, content: str, data: Mapping[str, Any]) -> bool:
        """Stage a recorded answer that is neither staged nor in its place: under another name."""
        if not (self._outbox.staged(work.name, content) or self._outbox.has(work.name, content)):
            staged = move.stage(self.staging, content)
            order = Order(work.source, staged, work.name, content, self.tasks)
            put(staged, pages(order, {**data, "warnings": [*data["warnings"], _TWIN]}, {}))
        return True

    def publish(self, work: Work, content: str, timings: Mapping[str, float]) -> bool:
        """Put the answer in its place, and move the original out of the inbox."""
        with self._alone(work.name):
            if self._outbox.staged(work.name, content):
                self._outbox.publish(work.name, content)
            self._outbox.keep(work.source)
        return work.name not in self.stuck

    def aside(self, work: Work, outcome: Outcome, attempts: int) -> bool:
        """Move an item into quarantine, the reason beside it."""
        reason = outcome.reason
        if outcome.kind in STATES and self._identifiers is not Identifiers.keep:
            reason = reason.replace(_NAMELESS, work.name)  # the ledger's, after a crash
        with self._alone(work.name):
            self._outbox.put_aside(work.source, reason, attempts)
        return work.name not in self.stuck

    def later(self, work: Work) -> None:
        """Let an item's window begin anew."""
        self._settling.again(work.name)

    def said(self, work: Work, sentence: str) -> str:
        """A sentence that calls the item what the ledger may."""
        kept = self._identifiers is Identifiers.keep
        return without_path(sentence, work.name, work.name if kept else _NAMELESS)

    def sweep(self) -> int:
        """Delete originals."""
        keep = self._settings.keep_days
        return 0 if keep is None else self._outbox.forget(keep)

    @contextmanager
    def _alone(self, name: str) -> Iterator[None]:
        """What the file system refuses for an item alone holds up no other."""
        try:
            yield
        except OSError as error:
            if is_full(error):
                raise
            if name not in self.stuck:
                facts = {"kind": type(error).__name__, "errno": error.errno, "name": name}
                tell(logger, "cannot_move", logging.WARNING, **facts)
            self.stuck = {*self.stuck, name} & self._settling.held
            self._settling.again(name)
        else:
            self.stuck.discard(name)
            self._settling.forget(name)
