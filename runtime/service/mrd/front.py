"""Streams that wait for an answer, for the answering loop: the oldest first."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runtime.service import move
from runtime.service.answer import Outcome
from runtime.service.loop import SHORT, Front, Work
from runtime.service.mrd.answer import ANSWER
from runtime.service.mrd.volume import NAME

logger = logging.getLogger("fmtool.mrd")


@dataclass(eq=False)
class MrdJob:
    """A stream that came, and what became of it.

    Attributes:
        path: its messages, as they came.
        content: their digest.
        done: set once one of the two is known.
        answer: the messages to send; None if there are none.
        reason: why there are none.
    """

    path: Path
    content: str
    done: threading.Event = field(default_factory=threading.Event)
    answer: Path | None = None
    reason: str = ""


class MrdFront(Front):
    """The streams that connections hand in and wait for; nothing outlives its connection.

    Args:
        folder: where the streams are, and the answers' staging.
    """

    logger = logger
    poll_s = 0.05
    anew = True  # whoever sends a refused scan again, wants to be told again

    def __init__(self, folder: Path) -> None:
        self.staging = folder
        self.blocked: Callable[[], str] = str
        self._jobs: list[MrdJob] = []
        self._lock = threading.Lock()

    def submit(self, job: MrdJob) -> int:
        """Have a stream answered; how many come before it."""
        with self._lock:
            self._jobs.append(job)
            return len(self._jobs) - 1

    def withdraw(self, job: MrdJob) -> None:
        """Wait for a stream no longer."""
        with self._lock:
            if job in self._jobs:
                self._jobs.remove(job)

    @property
    def busy(self) -> bool:
        """Whether a stream waits or is computed."""
        return bool(self._jobs)

    def ready(self) -> Sequence[Work]:
        """The stream that has waited longest."""
        with self._lock:
            return [
                Work(job.content, job.path, NAME, {"stream": job.content[:SHORT]}, state=job)
                for job in self._jobs[:1]
            ]

    def begin(self, work: Work) -> str:
        """The stream's digest, which is known."""
        return str(work.state.content)

    def unchanged(self, work: Work) -> bool:
        """Whether its connection still waits."""
        with self._lock:
            return work.state in self._jobs

    def recall(self, work: Work, content: str, data: Mapping[str, Any]) -> bool:
        """Never: what is sent is made of the images, not of the ledger."""
        return False

    def publish(self, work: Work, content: str, timings: Mapping[str, float]) -> bool:
        """Hand the messages to the connection."""
        staged, job = move.staged(self.staging, content), work.state
        with self._lock:
            wanted = job in self._jobs
            if wanted:  # else its connection has gone, and would not delete the answer
                job.answer = (staged / ANSWER).replace(job.path.with_suffix(".answer"))
                self._jobs.remove(job)
        move.remove(staged)
        job.done.set()
        return wanted

    def aside(self, work: Work, outcome: Outcome, attempts: int) -> bool:
        """Tell the connection why there is no answer."""
        work.state.reason = outcome.reason.splitlines()[0]
        self.withdraw(work.state)
        work.state.done.set()
        return True

    def sweep(self) -> int:
        """Nothing is kept."""
        return 0
