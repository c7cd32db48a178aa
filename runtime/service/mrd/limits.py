"""How long a connection may take, and how much all of them may hold."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from fmtool.errors import InputError


@dataclass(frozen=True)
class SessionLimits:
    """How long a connection may take, and how much may be held.

    Attributes:
        budget_s: from the end of the images to an answer; then the originals go back without.
        silent_s: until the first message: who says nothing holds no place for long.
        idle_s: between two messages, while a scan may still go on.
        stall_s: without a byte inside a message, either way.
        longest_s: of a whole connection.
        connections: at once; one more is told so and closed.
        connections_each: of them, of one address.
        held_bytes: of all connections together.
    """

    budget_s: float = 60.0
    silent_s: float = 30.0
    idle_s: float = 3600.0
    stall_s: float = 30.0
    longest_s: float = 4 * 3600.0
    connections: int = 16
    connections_each: int = 12
    held_bytes: int = 4 << 30


class Holding:
    """How many bytes all connections hold together."""

    def __init__(self, most: int) -> None:
        self._most, self._held, self._lock = most, 0, threading.Lock()

    def take(self, size: int) -> None:
        """Hold more.

        Raises:
            InputError: if that is too much.
        """
        with self._lock:
            if self._held + size > self._most:
                raise InputError("the server holds too much already; send the images again later")
            self._held += size

    def give(self, size: int) -> None:
        """Hold less."""
        with self._lock:
            self._held -= size
