"""Ending a service: SIGTERM and SIGINT ask for it, and what is under way gets a little time."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from runtime.system import posix

GRACE_S = 20.0
"""What is under way may go on for so long; a second signal ends it at once."""


class Ending:
    """Whether the service was asked to end, and how long ago.

    Raises:
        CapabilityError: if no service can run on this system.
    """

    def __init__(self, grace_s: float = GRACE_S) -> None:
        posix.needed()
        self.grace_s = grace_s
        self._asked = threading.Event()
        self._give_up_at = float("inf")
        self.code = 0

    @property
    def asked(self) -> bool:
        """Whether nothing new is to be begun."""
        return self._asked.is_set()

    def give_up(self) -> bool:
        """Whether what is under way is to be left."""
        return time.monotonic() >= self._give_up_at

    def wait(self, seconds: float) -> bool:
        """Sleep, but no longer than until the end is asked for; whether it was."""
        return self._asked.wait(seconds)

    def ask(self, code: int = 0) -> None:
        """Ask for the end; a second time, for an immediate one."""
        again = self._asked.is_set()
        self._give_up_at = time.monotonic() + (0.0 if again else self.grace_s)
        self.code = self.code or code
        self._asked.set()

    @contextmanager
    def on_signals(self) -> Iterator[None]:
        """Have SIGTERM and SIGINT ask, with the exit codes 143 and 130; in the main thread."""
        before = {n: signal.signal(n, self._signalled) for n in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _signalled(self, number: int, frame: FrameType | None) -> None:
        self.ask(128 + number)
