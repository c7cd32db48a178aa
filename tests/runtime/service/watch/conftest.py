"""A watch whose worker answers at once, in this process."""

from __future__ import annotations

import threading

import pytest

from runtime.ledger import Identifiers, Ledger
from runtime.service.ending import Ending
from runtime.service.watch import service
from runtime.service.watch.front import WatchSettings

SETTLE_S = 0.1


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
            WatchSettings(inbox, **settings),
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
