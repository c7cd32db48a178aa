"""OrderWorker: what an order does to its process, the next order does not notice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from functools import partial

import pytest

from fmtool.errors import BundleError, UsageError
from runtime.service.answer import Fate, Order
from runtime.service.worker import OrderWorker, open_worker

SCRIPT = """
    import os, signal, sys, time
    from pathlib import Path
    from fmtool.errors import CapabilityError, ToleranceError
    from runtime.service.answer import AnsweredBy, Order, Outcome, Fate
    from runtime.service.worker import OrderWorker

    class Answers:
        about = AnsweredBy("stand-in", "b" * 64, "none")
        def __call__(self, order):
            if order.scan == "die":
                os.kill(os.getpid(), signal.SIGKILL)
            if order.scan == "long":
                time.sleep(60)
            return Outcome(Fate.done, reason=str(os.getpid()))
        def close(self):
            pass

    def fails():
        raise ToleranceError("sentence", "age", 1.0, 0.1, "none", 1)

    def order(scan):
        return Order(Path(scan), Path("."), scan, "c")

    if __name__ == "__main__":
"""


def run(tmp_path, body):
    """The output of a script, for a spawned process must be able to import what it runs."""
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT) + textwrap.indent(textwrap.dedent(body), "    "))
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.split("\n")[:-1]


def test_a_process_that_dies_or_hangs_is_replaced(tmp_path):
    said = run(
        tmp_path,
        """
        worker = OrderWorker(Answers)
        first = worker(order("a"))
        died = worker(order("die"))
        second = worker(order("b"))
        hasty = OrderWorker(Answers, answer_s=0.2)
        late = hasty(order("long"))
        hasty.close()
        print(first.fate, died.kind, second.fate, late.kind, first.reason != second.reason)
        stopped = worker(order("long"), lambda: True)
        def broken():
            raise RuntimeError
        try:
            worker(order("long"), broken)
        except RuntimeError:
            print(stopped.fate, worker.alive, worker(order("c")).fate)
        os.kill(int(worker(order("d")).reason), signal.SIGKILL)
        while worker.alive:
            time.sleep(0.01)
        worker.ensure()
        print(worker.alive)
        worker.close()
        try:
            OrderWorker(fails)
        except Exception as error:
            print(type(error).__name__, error)
        """,
    )
    assert said[0] == "done Crash done Timeout True"
    assert said[1] == "stopped False done"
    assert said[2:] == ["True", "FmtoolError sentence"]


def test_a_killed_service_leaves_no_process(tmp_path):
    (number,) = run(
        tmp_path,
        """
        worker = OrderWorker(Answers)
        print(worker(order("a")).reason, flush=True)
        os._exit(0)
        """,
    )
    end = time.monotonic() + 10
    while _there(int(number)):
        assert time.monotonic() < end
        time.sleep(0.02)


def _there(number):
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{number}/stat", encoding="utf-8") as stat:
        return stat.read().rpartition(")")[2].split()[0] not in "ZX"


def test_a_bundle_that_is_missing_is_said_at_the_start(tmp_path):
    with pytest.raises(BundleError, match="absent"):
        open_worker(tmp_path / "absent.fmtool")


def test_a_task_that_is_unknown_is_said_at_the_start():
    with pytest.raises(UsageError, match="no task"):
        open_worker(tasks=["shoe_size"])


@pytest.mark.slow
def test_a_process_that_hangs_or_dies_costs_one_series(tmp_path):
    documents = pytest.importorskip("runtime.service.node.documents", exc_type=ImportError)
    series = tmp_path / "series"
    series.mkdir()
    order = Order(series, tmp_path, "the series", "c")
    worker = OrderWorker(partial(documents.answerer, None, None, False, False), answer_s=3.0)
    try:
        empty = worker(order)
        assert empty.fate is Fate.refused
        assert "without a scan in it" in empty.reason
        os.kill(worker.pid, signal.SIGSTOP)
        assert "longer than 3 s" in worker(order).reason
        assert worker(order).reason == empty.reason  # a new process
        os.kill(worker.pid, signal.SIGTERM)  # as a service manager sends to all
        assert worker(order).reason == empty.reason
        # SIGSTOP first, so that the kill comes while the series is being answered
        os.kill(worker.pid, signal.SIGSTOP)
        killer = f"import os, time; time.sleep(1); os.kill({worker.pid}, 9)"
        with subprocess.Popen([sys.executable, "-c", killer]):
            assert "ended the process" in worker(order).reason
        assert worker(order).reason == empty.reason
    finally:
        worker.close()
