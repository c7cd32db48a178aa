"""Stopping on SIGTERM: the step is finished and a checkpoint written before the process ends."""

from __future__ import annotations

import signal
import threading
from types import FrameType


class StopRequest:
    """While entered, SIGTERM sets `.requested` in place of ending the process.

    Schedulers send SIGTERM some seconds before they kill: Slurm at a time limit, systemd at a stop.
    Outside the main thread, where Python cannot install handlers, SIGTERM keeps its meaning.
    """

    def __init__(self) -> None:
        self.requested = False
        self._before: signal._HANDLER = None

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGTERM, self._handle)
        return self

    def __exit__(self, *error: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGTERM, self._before)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.requested = True
