"""The process that predicts: what breaks or hangs it costs one series and not the node."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from fmtool.errors import BundleError, UsageError
from runtime.result import Failure
from runtime.service.node.answering import PredictorProcess


def test_a_bundle_that_is_missing_is_said_at_the_start(tmp_path):
    with pytest.raises(BundleError, match="absent"):
        PredictorProcess(tmp_path / "absent.fmtool")


def test_a_task_that_is_unknown_is_said_at_the_start():
    with pytest.raises(UsageError, match="no task"):
        PredictorProcess(tasks=["shoe_size"])


@pytest.mark.slow
def test_a_process_that_hangs_or_dies_costs_one_series(tmp_path):
    tmp_path /= "series"
    tmp_path.mkdir()
    answer = PredictorProcess(answer_s=3.0)
    try:
        empty = answer(tmp_path)
        assert isinstance(empty, Failure)
        assert "without DICOM" in empty.reason
        os.kill(answer.pid, signal.SIGSTOP)
        assert "longer than 3 s" in answer(tmp_path).reason
        assert answer(tmp_path).reason == empty.reason  # a new process
        os.kill(answer.pid, signal.SIGTERM)  # as a service manager sends to all
        assert answer(tmp_path).reason == empty.reason
        # SIGSTOP first, so that the kill comes while the series is being answered
        os.kill(answer.pid, signal.SIGSTOP)
        killer = f"import os, time; time.sleep(1); os.kill({answer.pid}, 9)"
        with subprocess.Popen([sys.executable, "-c", killer]):
            assert "ended the process" in answer(tmp_path).reason
        assert answer(tmp_path).reason == empty.reason
    finally:
        answer.close()
