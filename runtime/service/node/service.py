"""The node as a service: put together from its settings, up until it is told to end."""

from __future__ import annotations

from functools import partial
from ipaddress import ip_address
from pathlib import Path

from runtime.service.ending import Ending
from runtime.service.node.documents import answerer
from runtime.service.node.log import hush_libraries, node_log
from runtime.service.node.server import DicomNode, NodeSettings
from runtime.service.worker import OrderWorker


def serve(settings: NodeSettings, bundle: Path | None, ending: Ending) -> None:
    """Run a node that answers with a bundle until the end is asked for.

    Raises:
        FmtoolError: as `DicomNode`, or if the bundle cannot be used.
    """
    hush_libraries()
    if settings.tls is None and not _is_loopback(settings.host):
        node_log("no_tls", host=settings.host, why="anyone on the network can read and send")
    node, worker = DicomNode(settings, ending), None
    try:
        worker = OrderWorker(partial(answerer, bundle, settings.tasks))
        node.start(worker)
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
