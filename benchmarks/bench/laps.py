"""Laps: what a start took, part by part."""

from __future__ import annotations

import time


class Laps:
    """Seconds between one call of `lap` and the next.

    Args:
        started: `time.monotonic()` of the parent, just before it made this process.
    """

    def __init__(self, started: float) -> None:
        self._last = started
        self.seconds: dict[str, float] = {}

    def lap(self, name: str) -> None:
        """`name` is what took the time since the last call."""
        now = time.monotonic()
        self.seconds[name] = now - self._last
        self._last = now
