"""One answering loop: the watch, the HTTP service and the node do the same of the same."""

from __future__ import annotations

import errno
import gzip
import json
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import contextmanager

import pytest

pytest.importorskip("fastapi", reason="the http extra is absent")
pytest.importorskip("prometheus_client", reason="the http extra is absent")
pytest.importorskip("python_multipart", reason="the http extra is absent")
pytest.importorskip("pynetdicom", reason="the dicom extra is absent")
pytest.importorskip("highdicom", reason="the dicom extra is absent")

from fmtool.errors import InputError
from runtime.ledger import FILE, Identifiers, Ledger
from runtime.ledger.outcomes import items
from runtime.service import loop as loops
from runtime.service.answer import Fate, Order, Outcome, answered
from runtime.service.ending import Ending
from runtime.service.guard import SpaceGuard
from runtime.service.http.front import HttpFront
from runtime.service.http.jobs import Jobs, Spool
from runtime.service.http.limits import Limits
from runtime.service.http.metrics import Metrics
from runtime.service.loop import AnswerLoop
from runtime.service.node.front import NodeFront
from runtime.service.node.outgoing import Outgoing
from runtime.service.node.policy import Policy
from runtime.service.node.storage import Inbox
from runtime.service.watch.front import WatchFront, WatchSettings
from runtime.service.watch.outbox import Outbox

SETTLE_S = 0.05


class Watched:
    """A watch folder: `send` puts a file in, `came` tells what became of it."""

    def __init__(self, folder):
        self.inbox, self.folder = folder / "inbox", folder / "outbox"
        for place in (self.inbox, self.folder):
            place.mkdir(exist_ok=True)

    def send(self, data):
        (self.inbox / "head.nii").write_bytes(data)

    @contextmanager
    def front(self, ledger, bundle):
        yield WatchFront(WatchSettings(self.inbox, SETTLE_S), Outbox(self.folder), Identifiers.keep)

    def came(self):
        note = self.folder / "quarantine" / "head" / "reason.txt"
        if (self.folder / "done" / "head.nii").exists():
            assert (self.folder / "head" / "report.html").is_file()
            return "answered"
        return note.read_text() if (note.parent / "head.nii").exists() else None

    def tried(self, said):
        return int(said.split("It was tried ")[1].split()[0]) if "It was tried" in said else 1


class Served:
    """The HTTP service's spool; an upload is a job."""

    def __init__(self, folder):
        self.folder = folder / "spool"
        self.folder.mkdir(exist_ok=True)
        self.identity = "0" * 32

    def send(self, data):
        spool = Spool(self.folder, "b" * 64)
        jobs = Jobs(spool, Limits())
        (spool.uploads / self.identity).write_bytes(data)
        jobs.add(self.identity, "c" * 64)
        jobs.close()

    @contextmanager
    def front(self, ledger, bundle):
        yield HttpFront(Spool(self.folder, bundle), ledger, Metrics("b", "e"), 7.0)

    def came(self):
        with Ledger(self.folder / FILE) as ledger:
            (item,) = items(ledger)
        if item.state == "done" and not (self.folder / "uploads" / self.identity).exists():
            assert list((self.folder / "pages").glob("*/report.html"))
            return "answered"
        if item.state in ("failed", "quarantined"):
            return f"{item.error} {item.attempts}"
        return None

    def tried(self, said):
        return int(said.split()[-1])


class Received:
    """The DICOM node's inbox; a series has come into it."""

    def __init__(self, folder):
        self.folder = folder / "node"
        self.series = "5" * 32

    def send(self, data):
        self.folder.mkdir(exist_ok=True)
        place = self.folder / "receiving" / self.series
        place.mkdir(parents=True)
        (place / "1.dcm").write_bytes(data)

    @contextmanager
    def front(self, ledger, bundle):
        inbox = Inbox(self.folder, 0)
        try:
            policy = Policy(allow=("A",), settle_s=SETTLE_S)
            yield NodeFront(inbox, Outgoing(self.folder), policy, None)
        finally:
            inbox.close()

    def came(self):
        if (self.folder / "answered" / self.series).is_dir():
            assert list((self.folder / "outgoing").glob("*/report.html"))
            return "answered"
        if (self.folder / "quarantine" / self.series).is_dir():
            return (self.folder / "quarantine" / f"{self.series}.json").read_text()
        return None

    def tried(self, said):
        return json.loads(said)["attempts"]


FRONTS = {"watch": Watched, "http": Served, "dicom": Received}


@pytest.fixture(params=FRONTS)
def place(request, tmp_path):
    return FRONTS[request.param](tmp_path)


@contextmanager
def running(place, worker, grace_s=5.0, digest="b" * 64):
    """The loop of a service, in a thread."""
    ending = Ending(grace_s)
    with Ledger(place.folder / FILE) as ledger, place.front(ledger, digest) as front:
        front.poll_s = 0.02
        loop = AnswerLoop(front, ledger, worker, SpaceGuard(place.folder, 0), ending)
        thread = threading.Thread(target=loop.run)
        thread.start()
        try:
            yield ending
        finally:
            if not ending.asked:
                ending.ask()
            thread.join(10)
            assert not thread.is_alive()


def until(true, seconds=10.0):
    end = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)
    return found


def states(place):
    with Ledger(place.folder / FILE) as ledger:
        return [(item.state, item.attempts) for item in items(ledger)]


def crash(order, give_up):
    return Outcome(Fate.broken, "Crash", f"{order.scan} ended the process that read it")


def test_answered(place, worker):
    place.send(b"good")
    with running(place, worker):
        assert until(place.came) == "answered"
    assert len(worker.orders) == 1
    assert states(place) == [("done", 0)]


def test_a_worker_that_is_first_started_by_the_loop(place, worker):
    """As the MRD server's is, which listens before any model is loaded."""
    about = vars(worker).pop("about")
    worker.ensure = lambda: setattr(worker, "about", about)
    test_answered(place, worker)


def test_refused(place, worker):
    worker.first = lambda order, give_up: Outcome(Fate.refused, "InputError", "it is no head")
    place.send(b"good")
    with running(place, worker):
        said = until(place.came)
    assert "it is no head" in said
    assert len(worker.orders) == 1
    assert place.tried(said) == 1
    assert states(place) == [("quarantined", 1)]


def test_crashed_once(place, worker):
    worker.first = lambda *words: crash(*words) if len(worker.orders) == 1 else None
    place.send(b"good")
    with running(place, worker):
        assert until(place.came) == "answered"
    assert len(worker.orders) == 2
    assert states(place) == [("done", 1)]


def test_crashed_three_times(place, worker):
    worker.first = crash
    place.send(b"good")
    with running(place, worker):
        said = until(place.came)
        time.sleep(0.3)
    assert "ended the process that read it" in said
    assert place.tried(said) == 3
    assert len(worker.orders) == 3
    assert states(place) == [("failed", 3)]


@pytest.mark.parametrize("when", ["before", "while written"])
def test_disk_full_and_back(place, worker, monkeypatch, when):
    full = [True]
    if when == "before":
        monkeypatch.setattr(SpaceGuard, "enough", lambda self, more=0: not full[0])
    else:
        blocked = Outcome(Fate.blocked, "disk_full", "cannot write the result")
        worker.first = lambda order, give_up: blocked if full[0] else None
    place.send(b"good")
    takes_in = isinstance(place, Watched)  # where others take in, the minimum is for them
    with running(place, worker):
        if when == "before" and not takes_in:
            assert until(place.came) == "answered"
        else:
            time.sleep(0.4)
            assert place.came() is None
            assert bool(worker.orders) == (when != "before")
        full[0] = False
        assert until(place.came) == "answered"
    assert states(place) == [("done", 0)]


def test_an_answer_that_never_finds_space(place, worker, monkeypatch):
    """An upload that fills the disk itself is let go of; what has another home waits."""
    monkeypatch.setattr(loops.Backoff, "longer", lambda self: 0.01)
    blocked = Outcome(Fate.blocked, "disk_full", "cannot write the result")
    worker.first = lambda order, give_up: blocked
    place.send(b"good")
    with running(place, worker):
        if isinstance(place, Served):
            assert "cannot write the result" in until(place.came)
            assert not list((place.folder / "uploads").iterdir())
        else:
            until(lambda: len(worker.orders) > 12)
            assert place.came() is None


def test_what_ends_every_process_that_reads_it_is_put_aside(place, worker):
    """As a memory limit on the whole service would: each start finds it claimed by a dead one."""
    place.send(b"good")
    worker.first = lambda order, give_up: Outcome(Fate.stopped)
    for number in range(4):
        with running(place, worker):
            until(lambda: place.came() or worker.orders)
        worker.orders.clear()
        with Ledger(place.folder / FILE) as ledger:
            ledger.run(
                "UPDATE items SET state = 'running', owner = 'gone|1|2', heartbeat = 0 "
                "WHERE state = 'waiting'"
            )
        assert bool(place.came()) == (number == 3)
    assert "ended from outside" in place.came()


def test_stopped_in_the_middle(place, worker):
    def long(order, give_up):
        while not give_up():
            time.sleep(0.01)
        return Outcome(Fate.stopped)

    worker.first = long
    place.send(b"good")
    with running(place, worker) as ending:
        until(lambda: worker.orders)
        ending.ask()
        time.sleep(0.1)
        assert states(place) == [("running", 0)]  # it may still finish
        ending.ask()  # a second signal
        until(lambda: states(place) == [("waiting", 0)])
        assert place.came() is None
    worker.first = lambda *words: None
    with running(place, worker):
        assert until(place.came) == "answered"
    assert states(place) == [("done", 0)]


@pytest.mark.parametrize(
    ("cause", "fate"),
    [
        (OSError(errno.EIO, "Input/output error"), Fate.broken),
        (OSError(errno.ESTALE, "Stale file handle"), Fate.broken),
        (FileNotFoundError(errno.ENOENT, "No such file"), Fate.refused),
        (gzip.BadGzipFile("Not a gzipped file"), Fate.refused),
        (ValueError("a header"), Fate.refused),
    ],
)
def test_a_disk_that_does_not_answer_is_no_fault_of_the_scan(tmp_path, cause, fate):
    def predict(source):
        raise InputError(f"{source} cannot be read") from cause

    order = Order(tmp_path / "head.nii", tmp_path, "the scan", "c")
    outcome = answered(order, predict, None, None)
    assert (outcome.fate, outcome.reason) == (fate, "the scan cannot be read")


SCRIPT = """
    import sys, time
    from pathlib import Path
    sys.path[:0] = {paths!r}
    import test_loop
    from conftest import StandIn
    from runtime.ledger import Ledger

    worker = StandIn()
    place = test_loop.FRONTS[{name!r}](Path({folder!r}))
    if {step!r} == "answer":
        def hang(order, give_up):
            print("there", flush=True)
            time.sleep(60)
        worker.first = hang
    else:
        finish = Ledger.finish
        def hang(self, item, data):
            finish(self, item, data)
            print("there", flush=True)
            time.sleep(60)
        Ledger.finish = hang
    with test_loop.running(place, worker):
        time.sleep(60)
"""


@pytest.mark.parametrize("step", ["answer", "finish"])
def test_killed_in_the_middle(place, worker, tmp_path, request, step):
    """SIGKILL while it is computed, and just after the ledger knows of it."""
    place.send(b"good")
    script = tmp_path / "script.py"
    words = {
        "paths": [str(request.path.parent), str(request.path.parents[1]), *sys.path],
        "name": next(name for name, kind in FRONTS.items() if isinstance(place, kind)),
        "folder": str(tmp_path),
        "step": step,
    }
    script.write_text(textwrap.dedent(SCRIPT).format(**words))
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout.readline() == b"there\n"
        finally:
            process.kill()
    with running(place, worker):
        assert until(place.came) == "answered"
    # The node makes its documents from the result alone, not from the ledger.
    again = step == "answer" or isinstance(place, Received)
    assert len(worker.orders) == int(again)
    assert states(place) == [("done", 0)]
