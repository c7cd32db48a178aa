"""Sockets that watch what comes in: no PDU too large, no message, no association, none too slow.

pynetdicom reads a PDU's length and then waits for that many bytes, however many and however long:
its timeouts begin and end between PDUs. What one PDU may cost is therefore bounded here, on the
socket that it reads from.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from runtime.service.node.policy import Policy

_HEAD = 6  # bytes of a PDU before its body: type, reserved, length (PS3.8, 9.3.1)
EACH = 16 << 10  # memory that a message takes beside its bytes
_MOST_WAITING = 32  # a peer waits for an answer before its next message (PS3.7, D.3.3.3)
_ABORT = bytes((7, 0, 0, 0, 0, 4, 0, 0, 2, 0))  # A-ABORT by the service provider, no reason given


class BeyondLimit(OSError):
    """A peer that went beyond a limit; the words say which."""


class Budget:
    """What all connections hold in memory together.

    Args:
        limit: bytes of messages that may be under way at once.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._meters: weakref.WeakSet[ConnectionMeter] = weakref.WeakSet()
        self._lock = threading.Lock()

    def join(self, meter: ConnectionMeter) -> None:
        """Count a connection in."""
        with self._lock:
            self._meters.add(meter)

    def check(self) -> None:
        """Refuse whoever asks while too much is under way."""
        with self._lock:
            held = sum(meter.memory for meter in self._meters)
        if held > self._limit:
            raise BeyondLimit("too much is being received at once")


class ConnectionMeter:
    """Counts one connection's bytes and time, PDU by PDU."""

    def __init__(self, policy: Policy, budget: Budget, report: Callable[[str], None]) -> None:
        self._policy = policy
        self._budget = budget
        self.report = report
        self._end = time.monotonic() + policy.association_s
        self._pdu_end: float | None = None
        self._head = bytearray()
        self._body = 0
        self._total = 0
        self._fresh = 0  # bytes of the message that is arriving
        self._waiting: deque[int] = deque()  # bytes of each message that has arrived
        budget.join(self)

    @property
    def held(self) -> int:
        """Bytes of the messages that have arrived, or are arriving, and are not dealt with."""
        return self._fresh + sum(self._waiting)

    @property
    def memory(self) -> int:
        """What they take, beside their bytes too."""
        return self.held + EACH * len(self._waiting)

    def arrived(self) -> None:
        """A message is whole."""
        self._waiting.append(self._fresh)
        self._fresh = 0

    def handled(self) -> None:
        """The oldest message is dealt with."""
        if self._waiting:
            self._waiting.popleft()

    def closed(self) -> None:
        """Nothing is held any more."""
        self._fresh = 0
        self._waiting.clear()

    def seconds(self) -> float:
        """How long the next read may take."""
        now = time.monotonic()
        if self._pdu_end is None:
            self._pdu_end = now + self._policy.pdu_s
        left = min(self._pdu_end, self._end) - now
        if left <= 0:
            raise BeyondLimit(
                "a PDU took too long" if now < self._end else "the association is too old"
            )
        return left

    def read(self, data: bytes) -> None:
        """Account for bytes just read."""
        self._total += len(data)
        self._fresh += len(data)
        if self._total > self._policy.max_association_bytes:
            raise BeyondLimit("the association sent too much")
        view = memoryview(data)
        while view:
            if self._body:
                taken = min(len(view), self._body)
                self._body -= taken
            else:
                taken = min(len(view), _HEAD - len(self._head))
                self._head += view[:taken]
                if len(self._head) < _HEAD:
                    return
                self._body = int.from_bytes(self._head[2:], "big")
                self._head.clear()
                if self._body > self._policy.max_any_pdu:
                    raise BeyondLimit("a PDU is too large")
            view = view[taken:]
            if not self._body:
                self._pdu()

    def _pdu(self) -> None:
        self._pdu_end = None
        if self.held > self._policy.max_object_bytes:
            raise BeyondLimit("an object is too large")
        if len(self._waiting) > _MOST_WAITING:
            raise BeyondLimit("messages come without waiting for answers")
        self._budget.check()


class MeteredSocket(socket.socket):
    """A plain connection with a meter."""

    meter: ConnectionMeter | None = None

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        """As `socket.recv`, within the meter's limits."""
        return _recv(self, super().recv, bufsize, flags)

    def close(self) -> None:
        """As `socket.close`; the meter holds nothing any more."""
        if self.meter:
            self.meter.closed()
        super().close()


class MeteredTls(ssl.SSLSocket):
    """A TLS connection with a meter."""

    meter: ConnectionMeter | None = None

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        """As `SSLSocket.recv`, within the meter's limits."""
        return _recv(self, super().recv, buflen, flags)

    def close(self) -> None:
        """As `SSLSocket.close`; the meter holds nothing any more."""
        if self.meter:
            self.meter.closed()
        super().close()


def _recv(
    wire: MeteredSocket | MeteredTls,
    recv: Callable[[int, int], bytes],
    bufsize: int,
    flags: int,
) -> bytes:
    meter = wire.meter
    if meter is None:
        return recv(bufsize, flags)
    try:
        wire.settimeout(meter.seconds())
        data = recv(bufsize, flags)
        meter.read(data)
        return data
    except TimeoutError:
        _end(wire, meter, "a PDU took too long")
        raise
    except BeyondLimit as refusal:
        _end(wire, meter, str(refusal))
        raise


def _end(wire: MeteredSocket | MeteredTls, meter: ConnectionMeter, why: str) -> None:
    """Tell the peer and whoever watches, and stop listening to it."""
    meter.report(why)
    with suppress(OSError):  # the peer may be gone already, which is as good
        wire.settimeout(1.0)
        wire.sendall(_ABORT)
        wire.shutdown(socket.SHUT_RDWR)
