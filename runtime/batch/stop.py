"""Being asked to stop: what runs is given back, what is done is written, then the process ends."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from types import FrameType

from runtime.system import signals

SIGNALS = (signal.SIGTERM, signal.SIGINT)
"""What is heard by the process that runs the batch alone."""


class StoppedEarly(Exception):
    """A signal came before there was anything to give back."""


class Stop:
    """While entered, the first SIGTERM or SIGINT is only noted; a second SIGINT interrupts.

    systemd and Slurm send SIGTERM some seconds before they kill. Outside the main thread, where
    Python cannot install handlers, the signals keep their meaning.

    Attributes:
        signal: the number of the one that came, or None.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._before: list[signal._HANDLER] = []

    def __enter__(self) -> Stop:
        if threading.current_thread() is threading.main_thread():
            self._before = [signal.signal(number, self._handle) for number in SIGNALS]
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in zip(SIGNALS, self._before, strict=False):
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.signal = number


@contextmanager
def deaf() -> Iterator[None]:
    """Processes that this thread starts meanwhile never hear the signals."""
    # Python's own helper process: starting it later would unblock what is blocked here.
    resource_tracker.ensure_running()
    before = signals.hold(SIGNALS)
    try:
        yield
    finally:
        signals.restore(before)
