"""The fuzzer finds what was planted: an exception, a hang, an allocation, a bare escape."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from benchmarks.fuzz import __main__ as command
from benchmarks.fuzz import run as runs
from benchmarks.fuzz.entry import Entry, attempt
from benchmarks.fuzz.mutate import damaged_json
from fmtool.errors import InputError

PLANTED = """
import os, time
from benchmarks.fuzz.entry import Entry
from fmtool.errors import InputError

def trial(data, folder):
    if len(data) % 2:
        {defect}
    raise InputError("no")

ENTRY = Entry(lambda: [b"ab", b"abcd"], trial)
"""


def run(tmp_path, monkeypatch, defect, seconds=3.0):
    (tmp_path / "holder").mkdir(exist_ok=True)
    (tmp_path / "holder" / "planted.py").write_text(PLANTED.format(defect=defect))
    path = [str(tmp_path), *sys.path]
    monkeypatch.setenv("PYTHONPATH", ":".join(filter(None, path)))
    return runs.run("holder.planted", seconds, 256 << 20, tmp_path / "out")


def kinds(report):
    return {name.partition("-")[0] for name in report.findings}


def test_an_exception_is_found_and_its_input_kept(tmp_path, monkeypatch):
    report = run(tmp_path, monkeypatch, 'raise KeyError("planted")')
    assert kinds(report) == {"KeyError"}
    assert report.trials > 2
    (kept,) = (tmp_path / "out" / "holder.planted").glob("*.bin")
    assert len(kept.read_bytes()) % 2
    assert "planted" in kept.with_suffix(".txt").read_text()


def test_an_allocation_beyond_the_limit_is_found(tmp_path, monkeypatch):
    assert kinds(run(tmp_path, monkeypatch, "bytearray(1 << 30)")) == {"MemoryError"}


def test_a_process_that_is_gone_is_found(tmp_path, monkeypatch):
    report = run(tmp_path, monkeypatch, "os.abort()")
    assert kinds(report) == {"killed"}
    assert report.restarts >= 1


def test_nothing_is_found_where_nothing_is(tmp_path, monkeypatch):
    report = run(tmp_path, monkeypatch, "pass")
    assert (report.findings, report.restarts) == ([], 0)
    assert not (tmp_path / "out").exists()


def test_a_hang_ends_the_process_and_leaves_its_trace():
    script = (
        "import sys, time\nfrom benchmarks.fuzz.entry import watchdog\n"
        "with watchdog(sys.stderr, 0.3): time.sleep(60)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode != 0
    assert "most recent call first" in done.stderr


def test_a_sentence_that_a_terminal_would_obey_is_found(tmp_path):
    class Bare(Exception):
        pass

    def trial(data, folder):
        raise (InputError if data == b"escaped" else Bare)("\x1b[31m red")

    entry = Entry(lambda: [], trial, refusals=(InputError, Bare))
    assert attempt(entry, b"", tmp_path / "t").kind == "sentence"
    assert attempt(entry, b"escaped", tmp_path / "t") is None  # as every FmtoolError is


@pytest.mark.parametrize("found", [[], ["KeyError-1.bin"]])
def test_the_exit_code_says_whether_anything_was_found(monkeypatch, capsys, tmp_path, found):
    report = runs.Report("task", 1.0, 5, 0, 50, found)
    monkeypatch.setattr(command, "run", lambda *args: report)
    monkeypatch.setattr(sys, "argv", ["fuzz", "task", "--out", str(tmp_path)])
    assert command.main() == bool(found)
    assert json.loads(capsys.readouterr().out)["trials"] == 5


def test_json_stays_json():
    import random

    rng = random.Random(1)
    data = b'{"a": [1, 2.5, "x", null], "b": {"c": true}}'
    changed = {damaged_json(rng, data) for _ in range(200)}
    assert len(changed) > 50
    for text in changed:
        json.loads(text)
