"""ProcessWorker: what an order does to its process, the next order does not notice."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time

SCRIPT = """
    import os, signal, sys, time
    from pathlib import Path
    from fmtool.errors import CapabilityError, ToleranceError
    from runtime.service.answer import About, Order, Outcome, Verdict
    from runtime.service.worker import ProcessWorker

    class Answers:
        about = About("stand-in", "b" * 64, ("age",), "none")
        def __call__(self, order):
            if order.scan == "die":
                os.kill(os.getpid(), signal.SIGKILL)
            if order.scan == "long":
                time.sleep(60)
            return Outcome(Verdict.done, reason=str(os.getpid()))
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
        worker = ProcessWorker(Answers)
        first = worker(order("a"))
        died = worker(order("die"))
        second = worker(order("b"))
        hasty = ProcessWorker(Answers, answer_s=0.2)
        late = hasty(order("long"))
        hasty.close()
        print(first.verdict, died.kind, second.verdict, late.kind, first.reason != second.reason)
        stopped = worker(order("long"), lambda: True)
        def broken():
            raise RuntimeError
        try:
            worker(order("long"), broken)
        except RuntimeError:
            print(stopped.verdict, worker.alive, worker(order("c")).verdict)
        os.kill(int(worker(order("d")).reason), signal.SIGKILL)
        while worker.alive:
            time.sleep(0.01)
        worker.ensure()
        print(worker.alive)
        worker.close()
        try:
            ProcessWorker(fails)
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
        worker = ProcessWorker(Answers)
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
