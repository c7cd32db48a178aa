"""Connections that are given up when they are slow, and refused when they are many.

uvicorn limits the time between requests; how long a request's head may take to arrive, and how long
a body may go on arriving after its request was answered, it does not. Both are limited here, so
that a client that sends a byte now and then holds no connection for long.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from runtime.service.http.limits import Limits
from runtime.service.log import tell

logger = logging.getLogger("fmtool.http")


def timed(limits: Limits) -> type[H11Protocol]:
    """A protocol for uvicorn that keeps the limits."""

    class Timed(H11Protocol):
        _limits = limits
        _timer: asyncio.TimerHandle | None = None
        _phase = ""

        def connection_made(self, transport: Any) -> None:
            if len(self.connections) >= self._limits.connections:
                tell(logger, "connection_refused", logging.WARNING, why="too many")
                transport.abort()
                return
            super().connection_made(transport)
            self._arm("head", self._limits.header_s)

        def data_received(self, data: bytes) -> None:
            if self.transport is None or self.transport.is_closing():
                return
            super().data_received(data)
            self._follow()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            self._follow()

        def connection_lost(self, exc: Exception | None) -> None:
            self._disarm()
            if self.transport is not None:  # else it was refused
                super().connection_lost(exc)

        def eof_received(self) -> None:
            if self.transport is not None:
                super().eof_received()

        def _follow(self) -> None:
            """Arm the timer of what the connection is waiting for now."""
            if self.conn.their_state is h11.IDLE:
                if self.conn.trailing_data[0]:
                    self._arm("head", self._limits.header_s)
                elif self._phase != "head":
                    self._disarm()  # uvicorn's own limit between requests
            elif self.cycle is None or not self.cycle.response_complete:
                self._arm("request", self._limits.request_s)
            elif self.conn.their_state is h11.SEND_BODY:
                self._arm("rest", self._limits.linger_s)
            else:
                self._disarm()

        def _arm(self, phase: str, seconds: float) -> None:
            if phase == self._phase:
                return
            self._disarm()
            self._phase = phase
            self._timer = self.loop.call_later(seconds, self._late)

        def _disarm(self) -> None:
            self._phase = ""
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

        def _late(self) -> None:
            tell(logger, "connection_ended", logging.WARNING, why=f"{self._phase} too slow")
            self.transport.abort()

    return Timed
