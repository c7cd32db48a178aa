"""The listening socket: pynetdicom's server, with connections that are metered and bounded."""

from __future__ import annotations

import socket
import ssl
import sys
import weakref
from typing import Any, cast

from pynetdicom.transport import RequestHandler, ThreadedAssociationServer

from runtime.service.node.log import node_log
from runtime.service.node.metered import Budget, ConnectionMeter, MeteredSocket, MeteredTls
from runtime.service.node.policy import Policy


class Handshake(RequestHandler):
    """Finishes the TLS handshake in the connection's own thread, so that none holds up another."""

    def handle(self) -> None:
        """Handshake, then pynetdicom's association."""
        if isinstance(self.request, ssl.SSLSocket):
            self.request.do_handshake()
        super().handle()


class DicomListener(ThreadedAssociationServer):
    """Accepts connections up to a number, and gives each a meter."""

    request_queue_size = 128
    daemon_threads = True

    def __init__(self, *args: Any, policy: Policy, **kwargs: Any) -> None:
        self._policy = policy
        self._budget = Budget(policy.max_in_flight_bytes)
        self._wires: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        super().__init__(*args, **kwargs)

    def get_request(self) -> tuple[socket.socket, tuple[str, int]]:
        """The next connection; closed at once if there are too many."""
        client, address = cast(socket.socket, self.socket).accept()
        if sum(wire.fileno() >= 0 for wire in self._wires) >= 2 * self._policy.max_associations:
            client.close()
            node_log("connection_refused", peer=address[0], why="too many connections")
            raise ConnectionRefusedError
        client.settimeout(self._policy.acse_s)
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
            wire.settimeout(self._policy.acse_s)
        wire.meter = ConnectionMeter(
            self._policy,
            self._budget,
            lambda why: node_log("connection_ended", peer=address[0], why=why),
        )
        self._wires.add(wire)
        return wire, address

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that failed before its association, such as one without TLS."""
        kind = sys.exc_info()[0]
        node_log(
            "connection_refused",
            peer=client_address[0],
            why="no TLS" if kind and issubclass(kind, OSError) and self.ssl_context else "failed",
            exception=kind.__name__ if kind else None,
        )
