"""Waiting longer after each failure, and saying so once."""

from __future__ import annotations

import logging

from runtime.service.log import tell

FIRST_S = 1.0
LONGEST_S = 60.0


class Backoff:
    """Why nothing goes on just now, and how long to wait before the next try.

    Args:
        logger: told when it begins, when its reason changes, and when it is over.
        first_s: the first wait; each next one is twice as long, up to `LONGEST_S`.
    """

    def __init__(self, logger: logging.Logger, first_s: float = FIRST_S) -> None:
        self._logger = logger
        self._first_s = first_s
        self._seconds = first_s
        self.why = ""

    def fail(self, why: str, **facts: object) -> float:
        """Note a failure; the seconds to wait."""
        if why != self.why:
            self.why, self._seconds = why, self._first_s
            tell(self._logger, "waiting", logging.WARNING, why=why, **facts)
        seconds = self._seconds
        self._seconds = min(2 * seconds, LONGEST_S)
        return seconds

    def over(self) -> None:
        """It goes on."""
        if self.why:
            tell(self._logger, "going_on", after=self.why)
            self.why, self._seconds = "", self._first_s
