"""Who answers a batch's scans: the same words for this machine and for a cluster."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from fmtool.bundle import Bundle
from runtime.batch.stop import Stop
from runtime.batch.wire import Answered, Broken, Refused
from runtime.batch.worker import Job, Setup

Reply: TypeAlias = tuple[int, Answered | Refused | Broken]
"""An item's number and what came of it; with `Broken` the number means nothing."""


class Workers(Protocol):
    """Takes scans in any number, and replies once for each, in any order."""

    @property
    def most(self) -> int:
        """How many scans are worth having under way: all are at work, and none waits for long."""

    def submit(self, job: Job) -> None:
        """Have a scan answered; what comes of it comes from `reply`."""

    def reply(self, seconds: float) -> Reply | None:
        """The next scan that is answered or refused; None if there is none within `seconds`."""


@dataclass(frozen=True)
class Staff:
    """Workers that can be had.

    Attributes:
        engine, precision: what they compute with; part of what an answer is known by.
        hire: given how many scans there are to answer, the workers.
    """

    engine: str
    precision: str
    hire: Callable[[int], AbstractContextManager[Workers]]


class Place(Protocol):
    """Where a bundle's workers are to be had."""

    @property
    def bundle(self) -> Bundle:
        """The opened bundle."""

    def open(self, setup: Setup, stop: Stop) -> AbstractContextManager[Staff]:
        """Find out what the workers compute with; none works before it is hired.

        Args:
            setup: for every worker; its scratch folder is where temporary folders may be made.
            stop: entered; once it has a signal, nothing new is begun.

        Raises:
            FmtoolError: if there are none.
            StoppedEarly: if a signal came before that was known.
        """
