"""The node as a service: put together from its settings, up until it is told to end."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from fmtool.errors import UsageError
from runtime.service.ending import Ending
from runtime.service.node.documents import answerer
from runtime.service.node.log import hush_libraries, node_log
from runtime.service.node.server import DicomNode, NodeSettings
from runtime.service.tls import is_loopback
from runtime.service.worker import OrderWorker
from runtime.system.private import unshared


def serve(settings: NodeSettings, bundle: Path | None, ending: Ending) -> None:
    """Run a node that answers with a bundle until the end is asked for.

    Raises:
        UsageError: if other machines could send without a certificate, and nobody said they may.
        FmtoolError: as `DicomNode`, or if the bundle cannot be used.
    """
    hush_libraries()
    if not is_loopback(settings.host) and (settings.tls is None or settings.tls.ca is None):
        if not settings.any_client:
            raise UsageError(
                f"{settings.host} may be reached from other machines, of which each could send: "
                "name --tls-cert, --tls-key and --tls-ca, or say --any-client on a network of "
                "your own"
            )
        node_log("any_client", host=settings.host, why="anyone on the network can send")
    with unshared():
        _serve(settings, bundle, ending)


def _serve(settings: NodeSettings, bundle: Path | None, ending: Ending) -> None:
    node, worker = DicomNode(settings, ending), None
    try:
        worker = OrderWorker(
            partial(
                answerer, bundle, settings.tasks, settings.to.fhir is not None, settings.deidentify
            )
        )
        node.start(worker)
        while not ending.wait(5.0):
            node.check()
        node_log("stopping")
    finally:
        node.stop()  # first, so that an answer under way may still be finished
        if worker is not None:
            worker.close()
