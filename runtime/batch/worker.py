"""A worker process: it reads and prepares one scan after another, and sends them on."""

from __future__ import annotations

import signal
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

from fmtool import bundle as bundles
from fmtool.errors import FmtoolError
from runtime.batch.inputs import Source
from runtime.batch.stop import SIGNALS
from runtime.batch.tried import changed, tried
from runtime.batch.wire import Broken, Packed, Refused, pack
from runtime.ledger.content import stat_digest
from runtime.prepare import Preparer, Reading
from runtime.report.derivatives import volumes
from runtime.report.publish import pictures
from runtime.store import Store
from runtime.system.orphan import end_with_parent
from runtime.system.scheduling import bound_to, give_way
from runtime.trust import Prevalence

_NICE = 10


@dataclass(frozen=True)
class Setup:
    """What every worker of a batch is told.

    Attributes:
        bundle: an opened bundle's folder.
        reading: how to read the scans.
        scratch: a folder for temporary files, which whoever started the worker removes.
        pictures: whether the report's are wanted.
        volumes: whether those of `runtime.report.derivatives` are.
        prevalence: see `runtime.predict.Predictor`; for who has the network.
        store: a folder of prepared volumes, see `runtime.store`; None for none.
    """

    bundle: Path
    reading: Reading
    scratch: Path
    pictures: bool
    volumes: bool = False
    prevalence: Prevalence = field(default_factory=dict)
    store: Path | None = None


@dataclass(frozen=True)
class Job:
    """One scan for a worker.

    Attributes:
        item: its number in the ledger.
        source: where it is.
        stat: what the file system said when its content was recorded; empty if unknown.
        content: the SHA-256 that was recorded; None if unknown.
    """

    item: int
    source: Source
    stat: str
    content: str | None = None


def work(pipe: Connection, setup: Setup, core: int) -> None:
    """Serve jobs until the pipe is closed: first None or `Broken`, then a reply for each job."""
    # The parent hears the signals, too, and decides what becomes of its workers.
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    # The network's threads share each layer evenly: a worker that takes half of one's core holds
    # up all of them, and the other cores idle.
    give_way(_NICE)
    end_with_parent()
    tempfile.tempdir = str(setup.scratch)
    with ExitStack() as stack:
        try:
            preparer = stack.enter_context(_open(setup, core))
        except FmtoolError as error:
            pipe.send(Broken(str(error)))
            return
        pipe.send(None)
        while True:
            try:
                job: Job = pipe.recv()
            except EOFError:
                return
            pipe.send(_attempt(preparer, setup, job))


def _open(setup: Setup, core: int) -> Preparer:
    """The networks on one thread: libraries count the cores they may use when they are loaded.

    The other workers use the other cores; afterwards the system may move this one as it likes.
    """
    opened = bundles.open(setup.bundle)
    store = Store(setup.store) if setup.store else None
    preparer = Preparer(opened, setup.reading, store)
    with bound_to(core):
        return preparer.__enter__()


def _attempt(preparer: Preparer, setup: Setup, job: Job) -> Packed | Refused:
    def prepare() -> Packed | Refused:
        ready = preparer(job.source, whole=setup.pictures or setup.volumes)
        if job.stat and stat_digest(job.source) != job.stat:
            return changed(job.source)
        drawn = pictures(ready, preparer.template) if setup.pictures else {}
        if setup.volumes:
            drawn |= volumes(ready)
        return pack(ready, drawn)

    return tried(job.source, prepare)
