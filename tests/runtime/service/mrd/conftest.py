"""A server whose worker is a stand-in, and scans that cost nothing."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest

from runtime.ledger import FILE, Ledger
from runtime.scan import Scan
from runtime.service.answer import AnsweredBy, Fate, Outcome
from runtime.service.ending import Ending
from runtime.service.mrd import service
from runtime.service.mrd.answer import ANSWER, stored
from runtime.service.mrd.limits import SessionLimits
from runtime.service.mrd.rehearsal import scanner
from runtime.service.mrd.wire import Tag, text_message

RESULT = {
    "timings": {"total": 0.1},
    "engine": "none",
    "version": "0",
    "finished": "2026-01-01T00:00:00.000+00:00",
}


class MrdStandIn:
    """Answers with a text; `first` is called before each, and its outcome taken if it has one."""

    def __init__(self):
        self.about = AnsweredBy("stand-in", "b" * 64, "none")
        self.alive = True
        self.orders = []
        self.first = lambda order, stop: None

    def __call__(self, order, stop):
        self.orders.append(order)
        early = self.first(order, stop)
        if early is not None:
            return early
        count = sum(message.kind == Tag.IMAGE for message in stored(order.source))
        (order.into / ANSWER).write_bytes(text_message(f"{count} images answered").wire)
        return Outcome(Fate.done, result=dict(RESULT))

    def ensure(self):
        pass

    def close(self):
        pass


@pytest.fixture
def mrd_worker():
    return MrdStandIn()


@pytest.fixture
def serving(tmp_path, mrd_worker):
    """`with serving(budget_s=1.0) as address:`"""

    @contextmanager
    def run(worker=mrd_worker, min_free_bytes=0, **limits):
        limits = replace(SessionLimits(idle_s=5.0, stall_s=2.0), **limits)
        settings = service.MrdSettings(port=0, limits=limits, min_free_bytes=min_free_bytes)
        ending = Ending(grace_s=0.0)
        with service.listening(settings) as listener, Ledger(tmp_path / FILE) as ledger:
            words = (settings, tmp_path, listener, ledger, worker, ending)
            thread = threading.Thread(target=service.run, args=words)
            thread.start()
            try:
                yield listener.getsockname()[:2]
            finally:
                ending.ask()
                thread.join(30.0)
                assert not thread.is_alive()
        left = {path.name for path in tmp_path.iterdir() if not path.name.startswith(FILE)}
        assert left == set()  # no image outlives its connection

    return run


@pytest.fixture(scope="session")
def small():
    """A box of noise with voxels and axes that tell each other apart, about the isocentre."""
    voxels = np.random.default_rng(7).random((18, 19, 20), dtype=np.float32)
    affine = np.diag([4.0, 5.0, 3.0, 1.0])
    affine[:3, 3] = -affine[:3, :3] @ (np.array(voxels.shape) / 2) + [3.0, -6.0, 9.0]
    return Scan(voxels, affine)


@pytest.fixture
def sent(small):
    """What a scanner sends of it."""
    return scanner.stream(small)
