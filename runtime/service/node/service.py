"""The node as a service: put together from its settings, up until it is told to end."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address
from pathlib import Path

from fmtool.errors import UsageError
from runtime.service.ending import Ending
from runtime.service.node import tls
from runtime.service.node.documents import answerer
from runtime.service.node.log import hush_libraries, node_log
from runtime.service.node.policy import Peer, Policy
from runtime.service.node.server import DicomNode
from runtime.service.worker import OrderWorker


@dataclass(frozen=True)
class NodeSettings:
    """What `fmtool serve dicom` was told; see `runtime.service.node.server.DicomNode`."""

    policy: Policy
    inbox: Path
    host: str
    port: int
    peer: Peer | None = None
    peer_tls: bool = False
    tls: tls.TlsFiles | None = None
    bundle: Path | None = None
    tasks: tuple[str, ...] | None = None


def serve(settings: NodeSettings, ending: Ending) -> None:
    """Run a node until the end is asked for.

    Raises:
        UsageError: if the peer is to be spoken to over TLS without files for it.
        FmtoolError: if the bundle, the inbox, the TLS files or the address cannot be used.
    """
    if settings.peer_tls and settings.tls is None:
        raise UsageError("--peer-tls needs --tls-cert and --tls-key")
    hush_libraries(node_log)
    server = tls.server_context(settings.tls) if settings.tls else None
    client = tls.client_context(settings.tls) if settings.tls and settings.peer_tls else None
    if server is None and not _is_loopback(settings.host):
        node_log("no_tls", host=settings.host, why="anyone on the network can read and send")
    node = DicomNode(
        settings.policy,
        settings.inbox,
        node_log,
        ending,
        settings.peer,
        settings.host,
        settings.port,
        server,
        client,
    )
    worker = None
    try:
        worker = OrderWorker(partial(answerer, settings.bundle, settings.tasks))
        node.start(worker, settings.tasks)
        while not ending.wait(5.0):
            node.check()
        node_log("stopping")
    finally:
        node.stop()  # first, so that an answer under way may still be finished
        if worker is not None:
            worker.close()


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
