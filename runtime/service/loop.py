"""The answering loop of all services: what is complete is answered once, come what may.

The order in which an item's facts are written makes a crash harmless. The answer is staged, then
recorded in the ledger, then published, and only then does its front let go of the input. Whatever
comes to lie between two of these steps, the front still has the input, and the ledger says what is
left to do: an answer that is recorded is not computed again while it can be had without.

A refused input is put aside at once. What fails otherwise (a crash, an error that may pass) is
tried `ATTEMPTS` times, and so is what this process was ended with. A disk that is full, a ledger
that cannot be written or a worker that does not start is no input's fault: all wait, longer each
time.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from fmtool.errors import FmtoolError
from runtime.ledger import Ledger
from runtime.ledger.drifting import drifting, remember
from runtime.ledger.ledger import ATTEMPTS
from runtime.ledger.outcomes import outcomes
from runtime.service import move
from runtime.service.answer import Fate, Order, Outcome
from runtime.service.backoff import Backoff
from runtime.service.ending import Ending
from runtime.service.guard import SpaceGuard, is_full
from runtime.service.log import tell
from runtime.service.worker import OrderWorker
from runtime.trust.drift import Drift

SHORT = 12
"""Hexadecimal digits of a digest or an id that name an item in the log."""

FIRST_S, LONGEST_S = 1.0, 60.0
"""Between two tries while nothing goes on."""

_AT_ONCE = 32  # items between two looks at what is there
_MOST_BLOCKED = 10  # tries at an answer that finds no space
_RETENTION_S = 3600.0


@dataclass(frozen=True)
class Work:
    """An input that is complete.

    Attributes:
        name: what the ledger's source is made of.
        source: what `runtime.scan.read` takes.
        scan: what it is called in its answer and in sentences.
        facts: that name it in the log.
        refused: why it is never opened, or empty.
        state: how it looked, for its front.
        sender: who sent it, for the record.
    """

    name: str
    source: Path
    scan: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    refused: str = ""
    state: Any = None
    sender: str = ""


class Front(Protocol):
    """Where inputs come from and answers go to.

    Attributes:
        logger: what happens is told to it.
        poll_s: between two looks at what is there.
        staging: a folder, on the disk of the answers.
        tasks: that answers show; all when None.
        anew: whether an input that was put aside and is there again is tried again.
        takes_in: whether to begin an input is to take it in: not while the disk has too little free
            space. Where others take in, what is there is answered all the same.
        spools: whether inputs are deleted once dealt with. One whose answer finds no space, again
            and again, is then put aside: it may be what fills the disk.
    """

    logger: logging.Logger
    poll_s: float
    staging: Path
    tasks: tuple[str, ...] | None = None
    anew: bool = False
    takes_in: bool = False
    spools: bool = False

    def ready(self) -> Sequence[Work] | None:
        """What is complete, in the order wanted; None if nothing more will come.

        Raises:
            OSError: if that cannot be told just now.
        """

    def begin(self, work: Work) -> str:
        """Take an input in hand; its content's digest.

        Raises:
            OSError: if it cannot be read.
        """

    def unchanged(self, work: Work) -> bool:
        """Whether an input is still what it was in `ready`."""
        return True

    def recall(self, work: Work, content: str, data: Mapping[str, Any]) -> bool:
        """Whether a recorded answer can be published without computing it; it is staged then."""
        return True

    def publish(self, work: Work, content: str, timings: Mapping[str, float]) -> bool:
        """Put a staged answer in its place and let go of the input; False if that stays behind.

        `timings` is empty for an answer that was known.
        """

    def aside(self, work: Work, outcome: Outcome, attempts: int) -> bool:
        """Put an input aside with the reason; False if it stays behind."""

    def later(self, work: Work) -> None:
        """Let an input be complete again later."""
        return

    def said(self, work: Work, sentence: str) -> str:
        """A sentence about an input as the ledger may hold it."""
        return sentence

    def sweep(self) -> int:
        """Delete what is kept no longer; how many."""


class AnswerLoop:
    """One front, its ledger, and what answers; it runs in one thread.

    Args:
        front: see there.
        ledger: the record.
        worker: that answers.
        guard: of the front's disk.
        ending: when to stop.
    """

    def __init__(
        self, front: Front, ledger: Ledger, worker: OrderWorker, guard: SpaceGuard, ending: Ending
    ) -> None:
        self._front = front
        self._ledger = ledger
        self._worker = worker
        self._guard = guard
        self._ending = ending
        self._backoff = Backoff(min(FIRST_S, front.poll_s), LONGEST_S)
        self._why = ""
        self._running = False
        self._claimed = False
        self._unread: Counter[str] = Counter()
        self._blocked: Counter[str] = Counter()
        self._freed = float("-inf")
        self._swept = float("-inf")
        self._remembered = ""
        self.drift: Drift | None = None
        self.counts: Counter[str] = Counter()

    @property
    def ready(self) -> bool:
        """Whether what comes now is answered."""
        return self._running and self._worker.alive and not self._why

    @property
    def waiting(self) -> str:
        """Why nothing goes on, in a word; "" while it does."""
        return self._why

    def run(self) -> None:
        """Answer until the end is asked for, or nothing more comes."""
        self._running = True
        try:
            while not self._ending.asked and (pause := self._tried()) is not None:
                self._ending.wait(pause)
            if self._claimed:
                self._ledger.release()
        finally:
            self._running = False

    def _tried(self) -> float | None:
        """A pass; the seconds to sleep, or None at the end."""
        try:
            pause = self._pass()
        except _Blocked as error:
            return self._wait(str(error))
        except FmtoolError as error:  # of the ledger, or of the worker's start
            return self._wait(type(error).__name__, reason=str(error))
        except OSError as error:
            why = "disk_full" if is_full(error) else "files"
            return self._wait(why, kind=type(error).__name__, errno=error.errno)
        if self._why:
            tell(self._front.logger, "going_on", after=self._why)
            self._why = ""
            self._backoff.over()
        return pause

    def _wait(self, why: str, **facts: Any) -> float:
        """Say why nothing goes on, once; the seconds to wait."""
        if why != self._why:
            tell(self._front.logger, "waiting", logging.WARNING, why=why, **facts)
            self._why = why
            self._backoff.over()
        return self._backoff.longer()

    def _pass(self) -> float | None:
        """Look once and deal with what is complete."""
        self._sweep()  # first, for it may make the space that the rest needs
        self._worker.ensure()  # which may be its first start
        about = self._worker.about
        if about.digest != self._remembered:
            remember(self._ledger, about.digest, about.reference)
            self._remembered = about.digest
        if not self._guard.enough():
            self._sweep(at_once=True)
            if self._front.takes_in and not self._guard.enough():
                raise _Blocked("disk_full")
        if self._claimed:  # something came between a claim and its end
            self._ledger.release()
            self._claimed = False
        ready = self._front.ready()
        if ready is None:
            return None
        for work in islice(ready, _AT_ONCE):
            if self._ending.asked:
                break
            self._one(work)
        return 0.0 if len(ready) > _AT_ONCE else self._front.poll_s

    def _one(self, work: Work) -> None:
        """Take an input as far as it goes."""
        found = self._content(work)
        if found is None:
            return
        content = found if isinstance(found, str) else None
        if content is not None and not self._front.unchanged(work):
            self._front.later(work)
            return
        about = self._worker.about.digest
        number = self._ledger.add(work.name, content, about, {}, sender=work.sender)
        if self._front.anew:
            self._ledger.again(number)
        claim = self._ledger.claim(number, lost=True)
        self._claimed = claim == "claimed"
        if claim == "busy":  # another process has it
            self._front.later(work)
        elif not isinstance(found, str):
            self._failed(work, None, number, found)
        elif claim == "claimed":
            self._answer(work, found, number)
        else:
            (data,) = outcomes(self._ledger, [number])
            if claim != "done":  # a crash came before it was put aside
                self._aside(work, found, Outcome(Fate.refused, claim, data["error"]), number)
            elif self._front.recall(work, found, data):
                self._publish(work, found, {})
            else:
                self._answer(work, found, number, recorded=True)

    def _content(self, work: Work) -> str | Outcome | None:
        """The digest, or what came of an input that has none; None if it is to be tried again."""
        if work.refused:
            return Outcome(Fate.refused, "Refused", f"{work.scan}: {work.refused}")
        try:
            content = self._front.begin(work)
        except OSError as error:
            kind, said = type(error).__name__, f"{work.scan} cannot be read ({error.strerror})"
            self._unread[work.name] += 1  # a ledger without names holds one item for all such
            if self._unread[work.name] < ATTEMPTS:
                self._again(work, None, kind)
                return None
            return Outcome(Fate.refused, kind, said)
        self._unread.pop(work.name, None)
        return content

    def _answer(self, work: Work, content: str, number: int, recorded: bool = False) -> None:
        staged = move.stage(self._front.staging, content)
        order = Order(work.source, staged, work.scan, content, self._front.tasks)
        outcome = self._worker(order, self._give_up)
        if outcome.fate is Fate.blocked:
            move.remove(staged)
            self._blocked[work.name] += 1
            if not self._front.spools or self._blocked[work.name] < _MOST_BLOCKED:
                raise _Blocked(outcome.kind)
            outcome = replace(outcome, fate=Fate.refused)
        del self._blocked[work.name]
        if outcome.fate is Fate.stopped or not self._front.unchanged(work):
            move.remove(staged)
            self._front.later(work)  # and the claim is given back
        elif outcome.fate is not Fate.done:
            move.remove(staged)
            self._failed(work, content, number, outcome)
        elif recorded or self._ledger.finish(number, outcome.result):
            self._claimed = False
            self._publish(work, content, outcome.result["timings"])
        else:
            self._front.later(work)  # the claim was lost: the ledger knows more by now

    def _failed(self, work: Work, content: str | None, number: int, outcome: Outcome) -> None:
        said = self._front.said(work, outcome.reason)
        if outcome.fate is Fate.refused:
            self._ledger.quarantine(number, said)
        elif self._ledger.fail(number, said, passing=True) == "waiting":
            self._claimed = False
            self._again(work, content, outcome.kind)
            return
        self._claimed = False
        self._aside(work, content, outcome, number)

    def _again(self, work: Work, content: str | None, kind: str) -> None:
        self._tell("again", work, content, logging.WARNING, kind=kind)
        self._front.later(work)

    def _publish(self, work: Work, content: str, timings: Mapping[str, float]) -> None:
        if self._front.publish(work, content, timings):
            self.counts["answered"] += 1
            self._look()
            stages = {stage: round(s, 3) for stage, s in timings.items()}
            self._tell("answered", work, content, known=not timings, seconds=stages)

    def _look(self) -> None:
        """Say it once when the answers begin, or cease, to drift from the calibration."""
        before, self.drift = self.drift, drifting(self._ledger)
        found = [sorted(one.drifted) if one else [] for one in (before, self.drift)]
        if self.drift is not None and found[0] != found[1]:
            level = logging.WARNING if found[1] else logging.INFO
            tell(self._front.logger, "drift", level, answers=self.drift.answers, what=found[1])

    def _aside(self, work: Work, content: str | None, outcome: Outcome, number: int) -> None:
        attempts = max(self._ledger.attempts(number), self._unread.pop(work.name, 0))
        if self._front.aside(work, outcome, attempts):
            self.counts["quarantined"] += 1
            facts = {"kind": outcome.kind, "reason": outcome.reason, "attempts": attempts}
            self._tell("quarantined", work, content, logging.WARNING, **facts)

    def _tell(
        self, event: str, work: Work, content: str | None, level: int = logging.INFO, **facts: Any
    ) -> None:
        item = {"item": content[:SHORT]} if content else {}
        tell(self._front.logger, event, level, **item, **work.facts, **facts)

    def _give_up(self) -> bool:
        self._ledger.beat()
        return self._ending.give_up()

    def _sweep(self, at_once: bool = False) -> None:
        now = time.monotonic()
        if (at_once and now - self._freed >= LONGEST_S) or now - self._swept >= _RETENTION_S:
            self._swept = now
            self._freed = now if at_once else self._freed
            if count := self._front.sweep():
                tell(self._front.logger, "forgotten", count=count)


class _Blocked(Exception):
    """Nothing more can be written just now."""
