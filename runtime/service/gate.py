"""The gate of a listening socket: connections are counted and timed from accept on.

What a connection wants shows only once it has said so: after a handshake, a request's head, an
association. Until then it is silent. When the places are taken, a silent connection of the address
that has the most gives way to the next: the one that has been silent longest, and one that was
answered before only after those that never spoke. A new one is refused where none is silent. So
whoever says at once what it wants is heard, however many wait and say nothing.
"""

from __future__ import annotations

import errno
import os
import socket
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

Told = Callable[[str, str, str], None]
"""Takes an event (`connection_refused`, `connection_ended`), the peer's address, and why."""

_CLOSING_S = 1.0  # for whoever holds a connection that was ended here to close it


@dataclass
class _Held:
    """A connection: since when it is silent, or None; when it was ended here, or None."""

    wire: weakref.ref[socket.socket]
    host: str
    silent: float | None
    answered: bool = False
    ended: float | None = None


class Gate:
    """The connections of one listening socket; for any thread.

    Args:
        most: at once.
        most_each: of one address.
        silent_s: from accept, or from the last answer, until a connection must have said what it
            wants.
        told: is told of each that is ended or refused.
        clock: seconds, never going back.

    Attributes:
        gone: how many connections were let in and are closed.
    """

    def __init__(
        self,
        most: int,
        most_each: int,
        silent_s: float,
        told: Told,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most, self._most_each, self._silent_s = most, most_each, silent_s
        self._told, self._clock = told, clock
        self.gone = 0
        self._lock = threading.Lock()
        self._held: dict[tuple[Any, ...], _Held] = {}

    @property
    def crowded(self) -> bool:
        """Whether so many were just ended that they should be closed before the next is taken."""
        with self._lock:
            self._forget()
            after = self._clock() - _CLOSING_S
            return sum((h.ended or 0.0) > after for h in self._held.values()) >= self._most

    def admit(self, wire: socket.socket, address: tuple[Any, ...]) -> bool:
        """Count a connection in; False if there is no place for it."""
        host = str(address[0])
        with self._lock:
            self._forget()
            open_ = [held for held in self._held.values() if held.ended is None]
            per = Counter(held.host for held in open_)
            fits = True
            if per[host] >= self._most_each:
                fits = self._make_way([held for held in open_ if held.host == host])
            elif len(open_) >= self._most:
                fits = self._make_way(sorted(open_, key=lambda held: -per[held.host]))
            if fits and len(self._held) < 4 * self._most:
                self._held[address[:2]] = _Held(weakref.ref(wire), host, self._clock())
                return True
        self.refuse(host, "too many connections")
        return False

    def refuse(self, host: str, why: str) -> None:
        """Tell of a connection that was closed at once."""
        self._told("connection_refused", host, why)

    def busy(self, address: tuple[Any, ...]) -> None:
        """A connection has said what it wants."""
        with self._lock:
            if held := self._held.get(address[:2]):
                held.silent = None

    def idle(self, address: tuple[Any, ...]) -> None:
        """A connection was answered, and is silent again."""
        with self._lock:
            if held := self._held.get(address[:2]):
                held.silent, held.answered = self._clock(), True

    def sweep(self) -> None:
        """End what has been silent for too long; to be called now and then."""
        with self._lock:
            self._forget()
            oldest = self._clock() - self._silent_s
            for held in self._held.values():
                if held.ended is None and held.silent is not None and held.silent <= oldest:
                    self._end(held, "silent for too long")

    def _make_way(self, among: list[_Held]) -> bool:
        """End the longest silent one of the first address that has any."""
        for host in dict.fromkeys(held.host for held in among):
            if silent := [h for h in among if h.host == host and h.silent is not None]:
                longest = min(silent, key=lambda held: (held.answered, held.silent))
                self._end(longest, "silent, and others came")
                return True
        return False

    def _end(self, held: _Held, why: str) -> None:
        """Shut a connection down; whoever holds it then closes it."""
        held.ended = self._clock()
        if (wire := held.wire()) is not None:
            with suppress(OSError):  # the peer was faster
                socket.socket.shutdown(wire, socket.SHUT_RDWR)  # not TLS's own, which is not ours
        self._told("connection_ended", held.host, why)

    def _forget(self) -> None:
        """No longer count what is closed."""
        gone = [a for a, h in self._held.items() if (w := h.wire()) is None or w.fileno() < 0]
        for address in gone:
            del self._held[address]
        self.gone += len(gone)


class Door(socket.socket):
    """A listening socket behind a gate, for asyncio, which tells nobody of a connection that it
    has not finished its handshake with.
    """

    gate: Gate

    def __init__(self, *args: Any, **words: Any) -> None:
        super().__init__(*args, **words)
        self._spare = os.open(os.devnull, os.O_RDONLY)

    def accept(self) -> tuple[socket.socket, Any]:
        """The next connection that the gate lets in.

        Raises:
            BlockingIOError: if none waits, or others are to be closed first.
            ConnectionAbortedError: if it was refused.
        """
        if self.gate.crowded:
            raise BlockingIOError
        try:
            wire, address = super().accept()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                self._turn_away()
                raise ConnectionAbortedError from None
            raise
        if not self.gate.admit(wire, address):
            wire.close()
            raise ConnectionAbortedError
        return wire, address

    def close(self) -> None:
        """As `socket.close`."""
        self._release()
        super().close()

    def _turn_away(self) -> None:
        """Without a descriptor for it, the next one would wait, and be asked for, for ever."""
        self._release()
        with suppress(OSError):  # another thread took what was spare, or the peer is gone
            wire, address = super().accept()
            wire.close()
            self.gate.refuse(str(address[0]), "no descriptors are left")
        with suppress(OSError):
            self._spare = os.open(os.devnull, os.O_RDONLY)

    def _release(self) -> None:
        spare, self._spare = self._spare, -1
        if spare >= 0:
            os.close(spare)
