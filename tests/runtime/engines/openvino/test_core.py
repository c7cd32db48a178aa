"""One OpenVINO for the process: whichever thread lets go of it, signals are still heard."""

from __future__ import annotations

import subprocess
import sys

import pytest

from runtime.engines.openvino.core import core

DROPPED_ELSEWHERE = """
import signal, threading
from runtime.engines.openvino.core import core
signal.signal(signal.SIGTERM, lambda *_: print("heard", flush=True))
held = [core()]
held[0].get_property("CPU", "FULL_DEVICE_NAME")
thread = threading.Thread(target=held.clear)
thread.start()
thread.join()
signal.raise_signal(signal.SIGTERM)
"""


def test_a_signal_is_heard_after_another_thread_let_go_of_openvino():
    pytest.importorskip("openvino")
    run = subprocess.run([sys.executable, "-c", DROPPED_ELSEWHERE], capture_output=True, text=True)
    assert (run.returncode, run.stdout) == (0, "heard\n"), run.stderr


def test_there_is_one():
    pytest.importorskip("openvino")
    assert core() is core()
