"""The Slurm array script, run without Slurm: its parts, its ledger, its signals, its merge."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "deploy" / "slurm" / "predict.sbatch"
REAL = f'#!/bin/sh\nexec "{sys.executable}" -m fmtool "$@"\n'
# Writes its list where its ledger would be, then waits to be asked to stop.
SLOW = """#!/usr/bin/env bash
[ "$1" = ledger ] && exit 0
cp "$2" "$4/results.csv"; cp "$4/ledger.sqlite" "$4/results.jsonl" 2>/dev/null
echo "$5 $6" >>"$4/ledger.sqlite"
trap 'exit 143' TERM
touch "$READY"
for _ in $(seq 600); do sleep 0.1; done
"""
AT_ONCE = SLOW.split("trap")[0]


@pytest.fixture
def task(tmp_path):
    """`task(index, *words, fmtool=...)`: the script as an array task, started."""
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    scratch = tmp_path / "scratch"
    scratch.mkdir()

    def start(index, *words, fmtool=AT_ONCE):
        for name, text in (("fmtool", fmtool), ("scontrol", '#!/bin/sh\necho "$@" >>"$ASKED"\n')):
            (bin_ / name).write_text(text)
            (bin_ / name).chmod(0o755)
        env = {
            **os.environ,
            "PATH": f"{bin_}:{os.environ['PATH']}",
            "TMPDIR": str(scratch),
            "XDG_CACHE_HOME": str(tmp_path / "cache"),
            "READY": str(tmp_path / "ready"),
            "ASKED": str(tmp_path / "asked"),
            "SLURM_ARRAY_JOB_ID": "77",
            "SLURM_ARRAY_TASK_ID": str(index),
        }
        return subprocess.Popen(
            [str(SCRIPT), *map(str, words)],
            env=env,
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    yield start
    assert list(scratch.iterdir()) == []


def ended(process, code=0):
    said, _ = process.communicate(timeout=120)
    assert process.returncode == code, said
    return said


def test_it_is_sound_shell():
    shellcheck = shutil.which("shellcheck") or Path(sys.executable).with_name("shellcheck")
    if not Path(shellcheck).exists():
        pytest.skip("shellcheck is not installed")
    done = subprocess.run([shellcheck, SCRIPT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(("count", "parts"), [(7, 3), (2, 5), (1, 1)])
def test_the_parts_are_the_list_in_its_order(task, tmp_path, count, parts):
    names = [f"scan {number}.nii" for number in range(count)]
    lists = tmp_path / "a & b\\n"
    lists.mkdir()
    text = "\ufeff# night\n\n" + "".join(f"  {name}\r\n" for name in names) + "/else/where.nii"
    (lists / "scans.txt").write_text(text, encoding="utf-8")
    for index in range(parts):
        ended(task(index, lists / "scans.txt", "out", parts))
    folders = sorted((tmp_path / "out").iterdir())
    lines = [
        line
        for folder in folders
        if (folder / "results.csv").exists()
        for line in (folder / "results.csv").read_text(encoding="utf-8").splitlines()
    ]
    assert lines == [*(f"{lists}/{name}" for name in names), "/else/where.nii"]


@pytest.mark.parametrize(
    "words", [(), ("l.txt", "out"), ("l.txt", "out", "0"), ("l.txt", "out", "ten")]
)
def test_wrong_words_are_refused(task, tmp_path, words):
    (tmp_path / "l.txt").write_text("a.nii\n")
    assert "usage" in ended(task(0, *words), 2)


def test_a_task_beyond_the_parts_is_refused(task, tmp_path):
    (tmp_path / "l.txt").write_text("a.nii\n")
    assert "only 3 parts" in ended(task(3, "l.txt", "out", 3), 2)


@pytest.mark.parametrize(("number", "asked"), [("SIGUSR1", "requeue 77_0\n"), ("SIGTERM", "")])
def test_a_signal_keeps_what_is_done_and_the_next_run_goes_on(task, tmp_path, number, asked):
    (tmp_path / "l.txt").write_text("a.nii\n")
    process = task(0, "l.txt", "out", 1, "--task", "age", fmtool=SLOW)
    while not (tmp_path / "ready").exists():
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.Signals[number])
    ended(process, 143)
    part = tmp_path / "out" / "part-00000"
    assert (part / "ledger.sqlite").read_text() == "--task age\n"
    assert ((tmp_path / "asked").read_text() if asked else "") == asked
    assert (tmp_path / "asked").exists() == bool(asked)
    ended(task(0, "l.txt", "out", 1, "--task", "sex"))
    assert (part / "results.jsonl").read_text() == "--task age\n"  # what it found of the first run
    assert (part / "ledger.sqlite").read_text() == "--task age\n--task sex\n"
    assert sorted(path.name for path in part.iterdir()) == [
        "ledger.sqlite",
        "results.csv",
        "results.jsonl",
    ]


@pytest.mark.slow
def test_parts_that_fmtool_answers_are_merged_in_the_list_s_order(task, tmp_path):
    from benchmarks.batch import scans

    heads = scans.prepared(3, tmp_path / "heads")
    order = [heads / "head-02", tmp_path / "absent.nii", heads / "head-00", heads / "head-01"]
    (tmp_path / "l.txt").write_text("".join(f"{path}\n" for path in order))
    codes = []
    for index in range(2):
        process = task(index, "l.txt", "out", 2, fmtool=REAL)
        said, _ = process.communicate(timeout=300)
        codes.append(process.returncode)
        assert "Traceback" not in said
    assert codes == [1, 0]
    again = ended(task(1, "l.txt", "out", 2, fmtool=REAL))
    assert "2 settled before" in again
    parts = sorted((tmp_path / "out").glob("part-*"))
    merge = [sys.executable, "-m", "fmtool", "ledger", "export", *parts, tmp_path / "merged"]
    done = subprocess.run(merge, capture_output=True, text=True, check=True)
    assert "3 done, 1 failed, 0 left" in done.stderr
    lines = (tmp_path / "merged" / "results.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["scan"] for line in lines] == [str(path) for path in order]
