"""Requests that are given up when they are slow; connections, which `Gate` counts from accept on.

uvicorn limits the time between requests; how long a request may take, and how long a body may go on
arriving after its request was answered, it does not. Both are limited here, and the gate is told
which connections have a request.
"""

from __future__ import annotations

import asyncio
import logging

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from runtime.service.gate import Gate
from runtime.service.http.limits import Limits
from runtime.service.log import tell

logger = logging.getLogger("fmtool.http")


def timed(limits: Limits, gate: Gate) -> type[H11Protocol]:
    """A protocol for uvicorn that keeps the limits."""

    class Timed(H11Protocol):
        _timer: asyncio.TimerHandle | None = None
        _phase = ""

        def data_received(self, data: bytes) -> None:
            if self.transport.is_closing():
                return
            super().data_received(data)
            self._follow()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            self._follow()

        def connection_lost(self, exc: Exception | None) -> None:
            self._arm("", 0.0)
            super().connection_lost(exc)

        def _follow(self) -> None:
            """Arm the timer of what the connection is waiting for now."""
            if self.conn.their_state is h11.IDLE:
                self._arm("", 0.0)  # the gate's time, and uvicorn's own between requests
            elif self.cycle is None or not self.cycle.response_complete:
                self._arm("request", limits.request_s)
            elif self.conn.their_state is h11.SEND_BODY:
                self._arm("rest", limits.linger_s)
            else:
                self._arm("", 0.0)

        def _arm(self, phase: str, seconds: float) -> None:
            if phase == self._phase:
                return
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self.loop.call_later(seconds, self._late) if phase else None
            if self.client is not None and "request" in (phase, self._phase):
                (gate.busy if phase == "request" else gate.idle)(self.client)
            self._phase = phase

        def _late(self) -> None:
            host = self.client[0] if self.client else None
            why = f"{self._phase} too slow"
            tell(logger, "connection_ended", logging.WARNING, peer=host, why=why)
            self.transport.abort()

    return Timed
