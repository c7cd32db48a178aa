"""Watch: what appears in an inbox is answered into an outbox, each content once, come what may.

The order in which an item's facts are written makes a crash harmless. The answer is staged, then
recorded in the ledger, then put in its place, then the original leaves the inbox. Whatever comes to
lie between two of these steps, the item is still in the inbox, and the ledger says what is left to
do: an answer that is recorded is never computed again.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from fmtool.errors import FmtoolError
from runtime.ledger import Identifiers, Ledger
from runtime.ledger.content import content_digest
from runtime.ledger.ledger import ATTEMPTS
from runtime.ledger.names import without_path
from runtime.ledger.outcomes import outcomes
from runtime.service.answer import Order, Outcome, Verdict, write
from runtime.service.backoff import Backoff
from runtime.service.ending import Ending
from runtime.service.guard import SpaceGuard, is_full
from runtime.service.log import tell
from runtime.service.watch.look import Seen, Settling, look, names
from runtime.service.watch.outbox import Outbox
from runtime.service.watch.settings import Settings
from runtime.service.worker import Worker

OPTIONS: Mapping[str, Any] = {}
"""Nothing but the bundle changes an answer here."""

SHORT = 12
"""Hexadecimal digits of a digest that name an item in the log."""

_AT_ONCE = 32  # items between two looks at the inbox
_RETENTION_S = 3600.0
_TWIN = (
    "The same scan was answered before under another name: this is that answer, without its "
    "pictures."
)

logger = logging.getLogger("fmtool.watch")


class Watch:
    """One inbox, one outbox.

    Args:
        settings: see there.
        outbox: where answers go.
        ledger: the record.
        worker: that answers.
        guard: of the outbox's disk.
        ending: when to stop.
    """

    def __init__(
        self,
        settings: Settings,
        outbox: Outbox,
        ledger: Ledger,
        worker: Worker,
        guard: SpaceGuard,
        ending: Ending,
    ) -> None:
        self._settings = settings
        self._outbox = outbox
        self._ledger = ledger
        self._worker = worker
        self._guard = guard
        self._ending = ending
        self._settling = Settling(settings.inbox, settings.settle_s)
        self._backoff = Backoff(logger, min(1.0, settings.poll_s))
        self._claimed = False
        self._stuck: set[str] = set()
        self._unread: Counter[str] = Counter()
        self._swept = float("-inf")
        self.counts: Counter[str] = Counter()

    def run(self) -> Counter[str]:
        """Watch until the end; how many items were "answered", "quarantined" and "left"."""
        about = self._worker.about
        tell(logger, "started", bundle=about.digest[:SHORT], engine=about.engine)
        while not self._ending.asked:
            pause = self._pass()
            if pause is None:
                break
            self._ending.wait(pause)
        if self._claimed:
            self._ledger.release()
        if self._stuck:
            self.counts["left"] = len(self._stuck)
        tell(logger, "ended", **self.counts)
        return self.counts

    def _pass(self) -> float | None:
        """Look once and deal with what is complete; the seconds to sleep, or None at the end."""
        try:
            self._worker.ensure()
            if not self._guard.enough():
                return self._backoff.fail("disk_full", free_bytes=self._guard.free())
            if self._claimed:  # a write failed after the claim
                self._ledger.release()
                self._claimed = False
            ready = self._settling.update(names(self._settings.inbox))
            if self._settings.once and not self._settling.held - self._stuck:
                return None
            for name, seen in islice(ready, _AT_ONCE):
                if self._ending.asked:
                    break
                self._one(name, seen)
            self._sweep()
        except _Blocked as error:
            return self._backoff.fail(str(error))
        except FmtoolError as error:  # of the ledger, or of the worker's start
            return self._backoff.fail(type(error).__name__, reason=str(error))
        except OSError as error:
            return self._backoff.fail("files", kind=type(error).__name__, errno=error.errno)
        self._backoff.over()
        return 0.0 if len(ready) > _AT_ONCE else self._settings.poll_s

    def _one(self, name: str, seen: Seen) -> None:
        """Deal with an item; what the file system refuses for it alone holds up no other."""
        try:
            self._item(name, seen)
            self._stuck.discard(name)
        except OSError as error:
            if is_full(error):
                raise
            if name not in self._stuck:
                facts = {"kind": type(error).__name__, "errno": error.errno, "name": name}
                tell(logger, "cannot_move", logging.WARNING, **facts)
            self._stuck = {*self._stuck, name} & self._settling.held
            self._settling.again(name)

    def _item(self, name: str, seen: Seen) -> None:
        """Take a complete item as far as it goes."""
        if seen.refused:
            self._put_aside(name, None, f"{name}: {seen.refused}", "Refused")
            return
        content = self._digest(name)
        if content is None or not self._unchanged(name, seen):
            return
        number = self._ledger.add(name, content, self._worker.about.digest, OPTIONS)
        claim = self._ledger.claim(number)
        if claim == "claimed":
            self._claimed = True
            self._answer(name, seen, content, number)
        elif claim == "done":
            self._settled(name, content, number)
        elif claim == "busy":
            self._settling.again(name)  # another process has it
        else:
            self._put_aside(name, content, self._said(name, number), claim)

    def _digest(self, name: str) -> str | None:
        """The item's content digest; None if it cannot be read, which puts it aside in the end."""
        try:
            return content_digest(self._settings.inbox / name)
        except OSError as error:
            self._unread[name] += 1
            if self._unread[name] < ATTEMPTS:
                self._settling.again(name)
            else:
                said = f"{name} cannot be read ({error.strerror})"
                self._put_aside(name, None, said, type(error).__name__)
            return None

    def _answer(self, name: str, seen: Seen, content: str, number: int) -> None:
        staged = self._outbox.stage(content)
        order = Order(self._settings.inbox / name, staged, name, content, self._settings.tasks)
        outcome = self._worker(order, self._give_up)
        if outcome.verdict is Verdict.blocked:
            self._outbox.drop(content)
            raise _Blocked(outcome.kind)
        if outcome.verdict is Verdict.stopped or not self._unchanged(name, seen):
            self._outbox.drop(content)
            self._ledger.release()
        elif outcome.verdict is Verdict.done:
            if self._ledger.finish(number, outcome.result):
                self._settled(name, content, number)
            else:
                self._settling.again(name)  # the claim was lost: the ledger knows more by now
        else:
            self._outbox.drop(content)
            self._failed(name, content, number, outcome)
        self._claimed = False

    def _failed(self, name: str, content: str, number: int, outcome: Outcome) -> None:
        said = without_path(outcome.reason, name, self._called(name))
        if outcome.verdict is Verdict.refused:
            self._ledger.quarantine(number, said)
        elif self._ledger.fail(number, said, passing=True) == "waiting":
            tell(logger, "again", logging.WARNING, item=content[:SHORT], kind=outcome.kind)
            self._settling.again(name)
            return
        self._put_aside(name, content, outcome.reason, outcome.kind)

    def _settled(self, name: str, content: str, number: int) -> None:
        """Publish what the ledger says is done, and take the original away."""
        known = not self._outbox.staged(name, content)
        (data,) = outcomes(self._ledger, [number])
        if known and not self._outbox.has(name, content):
            staged = self._outbox.stage(content)
            order = Order(Path(name), staged, name, content, self._settings.tasks)
            written = write(order, {**data, "warnings": [*data["warnings"], _TWIN]}, {})
            if written.verdict is not Verdict.done:
                raise _Blocked(written.kind)
        if self._outbox.staged(name, content):
            self._outbox.publish(name, content)
        self._outbox.keep(self._settings.inbox / name)
        self._settling.forget(name)
        self.counts["answered"] += 1
        stages = {stage: round(s, 3) for stage, s in data["timings"].items()}
        tell(logger, "answered", item=content[:SHORT], known=known, seconds=stages, name=name)

    def _put_aside(self, name: str, content: str | None, reason: str, kind: str) -> None:
        if content is None:  # the ledger holds what was never read, too
            number = self._ledger.add(name, None, self._worker.about.digest, OPTIONS)
            if self._ledger.claim(number) == "claimed":
                self._ledger.quarantine(number, without_path(reason, name, self._called(name)))
        self._outbox.put_aside(self._settings.inbox / name, reason)
        self._settling.forget(name)
        self._unread.pop(name, None)
        self.counts["quarantined"] += 1
        facts = {"item": content[:SHORT]} if content else {}
        told = {"kind": kind, "name": name, "reason": reason}
        tell(logger, "quarantined", logging.WARNING, **facts, **told)

    def _unchanged(self, name: str, seen: Seen) -> bool:
        """Whether an item is still as it was; if not, its window begins anew."""
        try:
            same = look(self._settings.inbox / name).fingerprint == seen.fingerprint
        except FileNotFoundError:
            same = False
        if not same:
            self._settling.again(name)
        return same

    def _said(self, name: str, number: int) -> str:
        """Why an item failed before, as the ledger has it."""
        (data,) = outcomes(self._ledger, [number])
        return str(data["error"]).replace(self._called(name), name)

    def _called(self, name: str) -> str:
        """What a sentence in the ledger calls the item."""
        return name if self._ledger.identifiers is Identifiers.keep else "the scan"

    def _give_up(self) -> bool:
        self._ledger.beat()
        return self._ending.give_up()

    def _sweep(self) -> None:
        keep, now = self._settings.keep_days, time.monotonic()
        if keep is not None and now - self._swept >= _RETENTION_S:
            self._swept = now
            count = self._outbox.forget(keep)
            if count:
                tell(logger, "forgotten", originals=count)


class _Blocked(Exception):
    """Nothing more can be written just now."""
