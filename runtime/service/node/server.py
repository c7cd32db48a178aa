"""The node: receives series, has each answered, and sends the results back, all at once."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path
from socketserver import BaseServer
from typing import Any

from pydicom import config

from fmtool.errors import FmtoolError, InputError
from runtime.ledger import FILE, Ledger
from runtime.service import tls
from runtime.service.ending import Ending
from runtime.service.guard import SpaceGuard
from runtime.service.loop import AnswerLoop
from runtime.service.node.commitment import Commitments
from runtime.service.node.front import NodeFront
from runtime.service.node.log import node_log
from runtime.service.node.outgoing import Outgoing, Sender
from runtime.service.node.peers.destinations import NOWHERE, Destinations, commit_route, routes
from runtime.service.node.policy import Policy
from runtime.service.node.scp import listen
from runtime.service.node.storage import Inbox
from runtime.service.worker import OrderWorker
from runtime.system.heap import keep_few_arenas

_POLL_S = 0.2
_LATER_S = 5.0  # for the threads to end once what is under way had its time


@dataclass(frozen=True)
class NodeSettings:
    """What a node is told.

    Attributes:
        policy: who may send what.
        inbox: its folder; see `runtime.service.node.storage`.
        host: the address to listen on.
        port: 0 takes a free one; see `DicomNode.address`.
        to: where the documents go.
        tls: without these the port is plain DICOM.
        tasks: in the documents; all when None.
        any_client: whether other machines may send without a certificate.
        deidentify: whether documents are de-identified, whoever they go to.
    """

    policy: Policy
    inbox: Path
    host: str = "127.0.0.1"
    port: int = 11112
    to: Destinations = NOWHERE
    tls: tls.TlsFiles | None = None
    tasks: tuple[str, ...] | None = None
    any_client: bool = False
    deidentify: bool = False


class DicomNode:
    """A DICOM node: its address is taken at once, and served from `start` to `stop`.

    Args:
        settings: see there.
        ending: when to stop answering and sending.

    Raises:
        UsageError: as `routes`.
        InputError: if the inbox, the files named or the address cannot be used.
    """

    def __init__(self, settings: NodeSettings, ending: Ending) -> None:
        config.settings.reading_validation_mode = config.IGNORE  # warnings would quote the values
        self._settings, self._policy, self._ending = settings, settings.policy, ending
        files = settings.tls
        server = tls.server_context(files) if files else None
        ways = routes(settings.to, self._policy, files)
        self.inbox = Inbox(settings.inbox, self._policy.min_free_bytes)
        self.outbox = Outgoing(settings.inbox)
        commit = commit_route(settings.to, self._policy, files)
        self._commitments = (
            None
            if commit is None
            else Commitments(
                settings.inbox,
                self.outbox.outgoing,
                self.outbox.put_aside,
                commit,
                self._policy.commit_s,
            )
        )
        self._sender = Sender(self.outbox, ways, self._commitments) if ways else None
        self._ledger: Ledger | None = None
        self._threads: list[threading.Thread] = []
        try:
            self._listener = listen(
                self._policy, self.inbox, settings.host, settings.port, server, self._commitments
            )
        except InputError:
            self.inbox.close()
            raise

    @property
    def address(self) -> tuple[str, int]:
        """The address and the port that the node listens on."""
        host, port = self._listener.server_address[:2]
        return host, port

    def start(self, worker: OrderWorker) -> None:
        """Receive, answer and send, in threads.

        Args:
            worker: that answers; see `runtime.service.node.documents`.

        Raises:
            LedgerError: if the inbox's ledger cannot be used.
        """
        keep_few_arenas()
        self._ledger = Ledger(self.inbox.folder / FILE)
        front = NodeFront(self.inbox, self.outbox, self._policy, self._settings.tasks)
        space = SpaceGuard(self.inbox.folder, self._policy.min_free_bytes)
        self._run(self._listener.serve_forever, _POLL_S)
        self._run(AnswerLoop(front, self._ledger, worker, space, self._ending).run)
        if self._sender is not None:
            self._run(self._sender.run, self._ending, _POLL_S)
        host, port = self.address
        node_log("listening", aet=self._policy.aet, host=host, port=port)

    def check(self) -> None:
        """See that everything still runs.

        Raises:
            FmtoolError: if a thread of the node has ended; only a new start helps.
        """
        if not self._ending.asked and not all(thread.is_alive() for thread in self._threads):
            raise FmtoolError("a part of the node has ended unexpectedly; start it again")

    def stop(self) -> None:
        """Take no more, let what is open end for a while, and be gone; nothing is lost by it."""
        if not self._ending.asked:
            self._ending.ask()
        if self._threads:
            BaseServer.shutdown(self._listener)  # pynetdicom's own expects one that the AE started
        self._listener.server_close()
        end = time.monotonic() + self._ending.grace_s
        for association in self._listener.active_associations:
            association.join(max(0.0, end - time.monotonic()))
            if association.is_alive():
                association.abort(block=False)
        for thread in self._threads:
            thread.join(max(0.0, end + _LATER_S - time.monotonic()))
        if self._ledger is not None:
            self._ledger.run.close()
        self.inbox.close()
        node_log("stopped")

    def _run(self, target: Any, *args: Any) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()
