"""Waiting longer after each failure."""

from __future__ import annotations

import time


class Backoff:
    """When to try again: twice as long after each failure, up to a limit.

    Args:
        first_s: the first wait.
        longest_s: the limit.
    """

    def __init__(self, first_s: float, longest_s: float) -> None:
        self._first_s, self._longest_s = first_s, longest_s
        self._next_s, self._until = first_s, 0.0

    @property
    def due(self) -> bool:
        """Whether it is time."""
        return time.monotonic() >= self._until

    def longer(self) -> float:
        """Note a failure; the seconds until the next try is due."""
        seconds = self._next_s
        self._until = time.monotonic() + seconds
        self._next_s = min(2 * seconds, self._longest_s)
        return seconds

    def over(self) -> None:
        """It goes on: the next wait is the first again."""
        self._next_s, self._until = self._first_s, 0.0
