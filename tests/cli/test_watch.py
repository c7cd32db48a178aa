"""`fmtool watch` and `fmtool status`, as a site runs them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest


def until(true, seconds=120.0):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


@pytest.fixture
def started(tmp_path):
    """`started("watch", ...)`: a process of `fmtool` that goes on; its stderr is in `log`."""
    processes = []

    def start(*words):
        log = (tmp_path / "stderr").open("w")
        process = subprocess.Popen(
            [sys.executable, "-m", "fmtool", *map(str, words)],
            stdout=log,
            stderr=log,
            env={**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")},
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.wait()


def events(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_day_of_a_watch(started, fmtool, tmp_path, prepared_head):
    inbox, out, log = tmp_path / "in", tmp_path / "out", tmp_path / "log" / "watch.log"
    inbox.mkdir()
    process = started("watch", inbox, "--out", out, "--settle", 0.5, "--task", "age", "--log", log)
    shutil.copytree(prepared_head, inbox / "Smith_J")
    (inbox / "Jones_K.nii.gz").write_bytes(b"nothing")
    until(lambda: (out / "done" / "Smith_J").exists())
    until((out / "quarantine" / "Jones_K" / "Jones_K.nii.gz").exists)
    result = json.loads((out / "Smith_J" / "result.json").read_text(encoding="utf-8"))
    assert list(result["values"]) == ["age"]
    assert result["finished"]
    assert result["version"]
    assert "not a NIfTI" in (out / "quarantine" / "Jones_K" / "reason.txt").read_text(
        encoding="utf-8"
    )
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 143
    lines = events(log)
    assert {"started", "answered", "quarantined", "ended"} <= {line["event"] for line in lines}
    text = log.read_text(encoding="utf-8") + (tmp_path / "stderr").read_text(encoding="utf-8")
    assert "Smith" not in text
    assert "Jones" not in text
    done = fmtool("status", "--out", out, "--json")
    facts = json.loads(done.stdout)
    assert (facts["states"]["done"], facts["states"]["quarantined"]) == (1, 1)
    assert facts["free_bytes"] > 0
    assert facts["oldest_waiting"] is None
    assert "not a NIfTI" in facts["errors"][0]["sentence"]
    assert "1 done" in fmtool("status", "--out", out).stdout


def test_wrong_words(fmtool, tmp_path):
    inbox = tmp_path / "in"
    inbox.mkdir()
    for words, code, said in (
        (("watch", inbox, "--out", inbox / "out"), 2, "must not lie in each other"),
        (("watch", tmp_path / "no", "--out", tmp_path / "out"), 1, "is not a folder"),
        (("watch", inbox, "-o", tmp_path / "out", "-t", "iq", "--once"), 2, "no task 'iq'"),
        (("status",), 2, "name one folder"),
        (("status", "--spool", inbox), 1, "holds no ledger.sqlite"),
        (("status", "--out", inbox, "--inbox", inbox), 2, "name one folder"),
        (("status", "--inbox", inbox), 1, "a node or a batch"),
    ):
        done = fmtool(*words)
        assert done.returncode == code, done.stderr
        assert said in done.stderr
    assert list(inbox.iterdir()) == []
