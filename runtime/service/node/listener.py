"""The listening socket: pynetdicom's server, with connections that are metered and bounded."""

from __future__ import annotations

import logging
import socket
import ssl
import sys
import time
from typing import Any, cast

from pynetdicom.transport import RequestHandler, ThreadedAssociationServer

from runtime.service.gate import Gate
from runtime.service.node.log import node_log
from runtime.service.node.metered import Budget, ConnectionMeter, MeteredSocket, MeteredTls
from runtime.service.node.policy import Policy
from runtime.system import posix

_PAUSE_S = 0.01


class Handshake(RequestHandler):
    """Finishes the TLS handshake in the connection's own thread, so that none holds up another."""

    server: DicomListener

    def handle(self) -> None:
        """Handshake, and once the peer says something, pynetdicom's association.

        pynetdicom asks a silent connection a thousand times a second; here it is waited for.
        """
        if isinstance(self.request, ssl.SSLSocket):
            self.request.do_handshake()
        if _speaks(self.request, self.server.policy.acse_s):
            super().handle()
        else:
            self.request.close()


def _speaks(wire: socket.socket, seconds: float) -> bool:
    """Whether something comes in that time; the end of the connection is nothing."""
    if isinstance(wire, ssl.SSLSocket) and wire.pending():
        return True
    if not posix.readable(wire, seconds):
        return False
    try:
        return bool(socket.socket.recv(wire, 1, socket.MSG_PEEK))  # under TLS and the meter
    except OSError:
        return False


class DicomListener(ThreadedAssociationServer):
    """Accepts connections up to a number, and gives each a meter."""

    request_queue_size = 128
    daemon_threads = True

    def __init__(self, *args: Any, policy: Policy, **kwargs: Any) -> None:
        self.policy = policy
        self.gate = Gate(policy.max_connections, policy.max_connections_each, policy.acse_s, _told)
        self._budget = Budget(policy.max_in_flight_bytes)
        super().__init__(*args, **kwargs)

    def service_actions(self) -> None:
        """Several times a second."""
        self.gate.sweep()
        super().service_actions()

    def get_request(self) -> tuple[socket.socket, tuple[str, int]]:
        """The next connection that the gate lets in."""
        if self.gate.crowded:
            time.sleep(_PAUSE_S)  # for their threads to close them
            raise BlockingIOError
        client, address = cast(socket.socket, self.socket).accept()
        client.settimeout(self.policy.acse_s)
        wire: MeteredSocket | MeteredTls
        if self.ssl_context:
            wire = cast(
                MeteredTls,
                self.ssl_context.wrap_socket(
                    client, server_side=True, do_handshake_on_connect=False
                ),
            )
        else:
            wire = MeteredSocket(fileno=client.detach())
            wire.settimeout(self.policy.acse_s)
        if not self.gate.admit(wire, address):
            wire.close()
            raise ConnectionRefusedError
        wire.meter = ConnectionMeter(
            self.policy, self._budget, lambda why: _told("connection_ended", address[0], why)
        )
        return wire, address

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that failed before its association, such as one without TLS."""
        kind = sys.exc_info()[0]
        node_log(
            "connection_refused",
            logging.WARNING,
            peer=client_address[0],
            why="no TLS" if kind and issubclass(kind, OSError) and self.ssl_context else "failed",
            exception=kind.__name__ if kind else None,
        )


def _told(event: str, host: str, why: str) -> None:
    node_log(event, logging.WARNING, peer=host, why=why)
