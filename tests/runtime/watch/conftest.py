"""A worker that answers at once, in this process: the service's logic without a network."""

from __future__ import annotations

import threading

import pytest

from runtime.answerer import About, Outcome, Verdict, write
from runtime.ending import Ending
from runtime.ledger import Identifiers, Ledger
from runtime.watch import service
from runtime.watch.watch import Settings

SETTLE_S = 0.1


class StandIn:
    """Answers files that begin with "good"; refuses others; `first` is called before each."""

    def __init__(self, digest="b" * 64):
        self.about = About("stand-in", digest, ("age",), "none")
        self.alive = True
        self.orders = []
        self.first = lambda order, stop: None

    def __call__(self, order, stop):
        self.orders.append(order)
        early = self.first(order, stop)
        if early is not None:
            return early
        text = order.source.read_bytes() if order.source.is_file() else b"good"
        if not text.startswith(b"good"):
            return Outcome(Verdict.refused, "InputError", f"{order.scan} is not a NIfTI file")
        return write(order, answer(), {})

    def ensure(self):
        pass

    def close(self):
        pass


def answer():
    """What `Result.to_dict()` gives."""
    value = {
        "value": 40.0,
        "unit": "years",
        "kind": "regression",
        "class": None,
        "classes": None,
        "interval": None,
        "evidence": {},
        "warnings": [],
    }
    return {
        "scan": "",
        "values": {"age": value, "sex": value},
        "quality": [],
        "warnings": [],
        "facts": {"brain_volume_ml": 1200.0},
        "timings": {"read": 0.1, "total": 0.5},
        "embedding": [0.0],
        "bundle": {"name": "stand-in", "digest": "b" * 64, "demonstration": False, "limits": []},
        "engine": "none",
        "version": "0",
        "notice": "",
        "finished": "2026-01-01T00:00:00.000+00:00",
    }


@pytest.fixture
def worker():
    return StandIn()


@pytest.fixture
def inbox(tmp_path):
    folder = tmp_path / "inbox"
    folder.mkdir()
    return folder


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


@pytest.fixture
def run(inbox, out, worker):
    """`run()`: answer what is in the inbox, then end; what was counted."""

    def once(make=None, ending=None, min_free=0, identifiers=Identifiers.keep, **settings):
        settings = {"settle_s": SETTLE_S, "once": True, **settings}
        return service.watch(
            Settings(inbox, **settings),
            out,
            make or (lambda: worker),
            ending or Ending(),
            min_free,
            identifiers,
        )

    return once


@pytest.fixture
def running(run):
    """`running()`: the same in a thread, until the test is over; its Ending."""
    started = []

    def start(**words):
        ending = Ending()
        thread = threading.Thread(target=run, kwargs={"ending": ending, "once": False, **words})
        thread.start()
        started.append((ending, thread))
        return ending

    yield start
    for ending, thread in started:
        ending.ask()
        thread.join(10)
        assert not thread.is_alive()


@pytest.fixture
def ledger(out):
    """The ledger's rows after a run: `ledger("SELECT ...")`."""

    def rows(statement):
        with Ledger(out / "ledger.sqlite") as opened:
            return [tuple(row) for row in opened.run(statement).fetchall()]

    return rows
