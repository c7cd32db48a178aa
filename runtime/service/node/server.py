"""The node: receives series, has each answered, and sends the results back, all at once."""

from __future__ import annotations

import threading
import time
import traceback
from hashlib import sha256
from pathlib import Path
from socketserver import BaseServer
from ssl import SSLContext
from types import TracebackType
from typing import Any

from pydicom import config
from pydicom.dataset import Dataset

from fmtool.errors import FmtoolError, InputError
from runtime.ledger import Ledger
from runtime.ledger.content import content_digest
from runtime.result import Failure, Result
from runtime.service.node import page, source, sr
from runtime.service.node.answering import Answer
from runtime.service.node.log import Log
from runtime.service.node.outgoing import Outbox, Sender
from runtime.service.node.policy import Peer, Policy
from runtime.service.node.scp import listen
from runtime.service.node.storage import Inbox
from runtime.system.heap import keep_few_arenas

LEDGER = "ledger.sqlite"


class Record:
    """The ledger in an inbox; use it as a context manager, in one thread.

    The inbox's folders say what is to be done; the ledger says what was done, and is not asked. An
    item's source is the series' name in the inbox.

    Args:
        folder: the inbox.
        bundle: the digest of the bundle that answers.

    Raises:
        LedgerError: from any use, if the ledger cannot be read or written.
    """

    def __init__(self, folder: Path, bundle: str) -> None:
        self._ledger = Ledger(folder / LEDGER)
        self._bundle = bundle

    def __enter__(self) -> Record:
        self._ledger.release()  # of a process that was killed in the middle of a series
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ledger.release()  # a series that was given back
        self._ledger.__exit__(kind, error, trace)

    def begin(self, series: str, folder: Path) -> int:
        """The number of the item, claimed; one with a result keeps that.

        Args:
            series: its name.
            folder: its objects.
        """
        item = self._ledger.add(series, content_digest(folder), self._bundle, {})
        self._ledger.again(item)  # someone moved it out of quarantine
        self._ledger.claim(item)
        return item

    def done(self, item: int, result: Result) -> None:
        """Note the answer."""
        self._ledger.finish(item, result.to_dict())

    def quarantined(self, item: int, series: str) -> None:
        """Note that there is none; why stays with the data, as it may name the patient."""
        self._ledger.quarantine(item, f"quarantine/{series}.json says why it was not answered")


_POLL_S = 0.2
_TROUBLE_S = 30.0  # before the next try when the disk, not a study, is at fault
_HOUSEKEEPING_S = 3600.0


class Node:
    """A DICOM node: its address is taken at once, and served from `start` to `stop`.

    Args:
        policy: who may send what.
        folder: the inbox; see `runtime.service.node.storage`.
        log: what happens is told to it.
        peer: where results go; without one they wait in the outbox.
        host: the address to listen on.
        port: 0 takes a free one; see `Node.address`.
        tls: the server's context; without one the port is plain DICOM.
        peer_tls: the client's context for the peer.

    Raises:
        InputError: if the inbox cannot be used.
        InputError: if the address cannot be listened on.
    """

    def __init__(
        self,
        policy: Policy,
        folder: Path,
        log: Log,
        peer: Peer | None = None,
        host: str = "127.0.0.1",
        port: int = 11112,
        tls: SSLContext | None = None,
        peer_tls: SSLContext | None = None,
    ) -> None:
        config.settings.reading_validation_mode = config.IGNORE  # warnings would quote the values
        self._policy, self._log = policy, log
        self.inbox = Inbox(folder, policy.min_free_bytes)
        self.outbox = Outbox(folder)
        self._sender = Sender(self.outbox, peer, policy, log, peer_tls) if peer else None
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._cleaned = -_HOUSEKEEPING_S
        try:
            self._listener = listen(policy, self.inbox, log, host, port, tls)
        except InputError:
            self.inbox.close()
            raise

    @property
    def address(self) -> tuple[str, int]:
        """The address and the port that the node listens on."""
        host, port = self._listener.server_address[:2]
        return host, port

    def start(self, answer: Answer, bundle: str) -> None:
        """Receive, answer and send, in threads.

        Args:
            answer: what computes; called by one thread, one series at a time.
            bundle: the digest of the bundle it answers with, for the ledger.
        """
        keep_few_arenas()
        self._answer, self._bundle = answer, bundle
        self._run(self._listener.serve_forever, _POLL_S)
        self._run(self._work)
        if self._sender is not None:
            self._run(self._sender.run, self._stop, _POLL_S)
        host, port = self.address
        self._log("listening", aet=self._policy.aet, host=host, port=port)

    def check(self) -> None:
        """See that everything still runs.

        Raises:
            FmtoolError: if a thread of the node has ended; only a new start helps.
        """
        if not all(thread.is_alive() for thread in self._threads):
            raise FmtoolError("a part of the node has ended unexpectedly; start it again")

    def stop(self, grace_s: float = 20.0) -> None:
        """Take no more, let what is open end for a while, and be gone; nothing is lost by it."""
        self._stop.set()
        if self._threads:
            BaseServer.shutdown(self._listener)  # pynetdicom's own expects one that the AE started
        self._listener.server_close()
        end = time.monotonic() + grace_s
        for association in self._listener.active_associations:
            association.join(max(0.0, end - time.monotonic()))
            if association.is_alive():
                association.abort(block=False)
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))
        self.inbox.close()
        self._log("stopped")

    def _run(self, target: Any, *args: Any) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _work(self) -> None:
        """Answer one series after the other; whatever one does, the next has its turn."""
        while not self._stop.is_set():
            try:
                with Record(self.inbox.folder, self._bundle) as record:
                    while not self._stop.wait(_POLL_S):
                        self._pass(record)
            except (OSError, FmtoolError) as error:  # the disk or the machine, not the study
                number = getattr(error, "errno", None)
                self._log("trouble", exception=type(error).__name__, errno=number)
                self._stop.wait(_TROUBLE_S)

    def _pass(self, record: Record) -> None:
        for series in self.inbox.settled(self._policy.settle_s):
            if self._stop.is_set():
                return
            try:
                self._one(series, record)
            except (OSError, FmtoolError):
                self.inbox.give_back(series)
                raise
        self._clean()

    def _clean(self) -> None:
        if time.monotonic() - self._cleaned >= _HOUSEKEEPING_S:
            self._cleaned = time.monotonic()
            self.outbox.forget(self._policy.keep_days)
            self._log("cleaned", series=self.inbox.forget(self._policy.keep_days))

    def _one(self, series: str, record: Record) -> None:
        """Answer a series: its documents into the outbox, or itself into quarantine."""
        start = time.monotonic()
        folder = self.inbox.take(series)
        objects = sorted(file.name for file in folder.iterdir())
        job = f"{series}-{sha256(chr(0).join(objects).encode()).hexdigest()[:16]}"
        self._log("series_complete", series=series, objects=len(objects))
        if not self.outbox.known(job):  # known: a crash came after this job and before the rename
            item = record.begin(series, folder)
            made = self._documents(folder, job)
            if isinstance(made, Failure):
                if not self._stop.is_set():  # a stop may fail an answer; the next start repeats it
                    record.quarantined(item, series)
                    self.inbox.quarantine(series, made.reason)
                    self._log("quarantined", series=series)
                return
            result, documents = made
            record.done(item, result)
            self.outbox.put(job, documents)
        self.inbox.answered(series)
        self._log("answered", series=series, seconds=round(time.monotonic() - start, 3))

    def _documents(self, folder: Path, job: str) -> tuple[Result, list[Dataset]] | Failure:
        try:
            outcome = self._answer(folder)
            if isinstance(outcome, Failure):
                return outcome
            headers = source.read(folder)
            return outcome, [sr.report(outcome, headers, job), page.page(outcome, headers[0], job)]
        except InputError as error:
            return Failure(folder.name, str(error))
        except (OSError, FmtoolError):
            raise
        except Exception:  # a defect, or an object that one library took and another did not
            return Failure(folder.name, f"an error of fmtool:\n{traceback.format_exc()}")
