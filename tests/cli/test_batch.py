"""`fmtool predict --out`: a batch as a user runs it, stops it, kills it and runs it again."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time

import pytest

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def inbox(tmp_path, prepared_head):
    """A folder with one scan that is good, twice, and one that is not."""
    folder = tmp_path / "inbox"
    folder.mkdir()
    for name in ("a", "b"):
        (folder / name).symlink_to(prepared_head, target_is_directory=True)
    listed = folder / "list.txt"
    listed.write_text("a\nbroken.nii.gz\nb\n")
    (folder / "broken.nii.gz").write_bytes(b"no scan")
    return listed


def test_a_batch_is_done_once_and_its_ledger_says_so(fmtool, inbox, tmp_path):
    out = tmp_path / "out"
    words = ("predict", inbox, "--out", out, "--task", "age", "--report", tmp_path / "pages")
    words += ("--fhir", tmp_path / "fhir")
    done = fmtool(*words)
    assert done.returncode == 1
    assert "2 done, 1 failed, 0 left" in done.stderr
    assert done.stderr.count("broken.nii.gz") == 1
    lines = [
        json.loads(line)
        for line in (out / "results.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    assert [line["scan"].rsplit("/", 1)[1] for line in lines] == ["a", "broken.nii.gz", "b"]
    assert lines[0]["values"] == lines[2]["values"]
    rows = list(csv.DictReader((out / "results.csv").open()))
    assert rows[1]["error"]
    assert str(out / "results.csv") in done.stdout.splitlines()
    pages = {path.name for path in (tmp_path / "pages").glob("*.html")}
    assert pages == {"a.html", "index.html"}
    reports = sorted((tmp_path / "fhir").iterdir())
    assert [path.name for path in reports] == ["a.fhir.json", "b.fhir.json"]
    codes = re.findall(r"Predicted \w+", reports[0].read_text(encoding="utf-8"))
    assert set(codes) == {"Predicted age"}  # the task that was asked for

    again = fmtool(*words)
    assert again.returncode == 1
    assert "3 settled before" in again.stderr
    assert "Engine" not in again.stderr
    before = (out / "results.jsonl").read_bytes()

    shown = fmtool("ledger", "show", out, "--json")
    states = [json.loads(line)["state"] for line in shown.stdout.splitlines()]
    assert sorted(states) == ["done", "done", "failed"]
    failed = fmtool("ledger", "show", out, "--state", "failed")
    assert failed.returncode == 0
    assert "1 failed" in failed.stderr
    exported = fmtool("ledger", "export", out, tmp_path / "exported")
    assert exported.returncode == 0, exported.stderr
    assert (
        len((tmp_path / "exported" / "results.jsonl").read_text(encoding="utf-8").splitlines()) == 3
    )
    retried = fmtool("ledger", "retry", out)
    assert "1 items wait again" in retried.stdout
    assert fmtool("ledger", "vacuum", out).returncode == 0
    assert fmtool(*words).returncode == 1
    assert before != (out / "results.jsonl").read_bytes()  # it failed again, later


@pytest.mark.slow
def test_a_batch_s_probabilities_hold_at_the_share_that_is_named(fmtool, prepared_head, tmp_path):
    found = {}
    for share in (None, "0.05", "0.5"):
        words = () if share is None else ("--prevalence", f"sex={share}")
        done = fmtool("predict", prepared_head, "--out", tmp_path, *words)
        assert done.returncode == 0, done.stderr
        assert "0 settled before" in done.stderr
        (line,) = (tmp_path / "results.jsonl").read_text(encoding="utf-8").splitlines()
        (row,) = csv.DictReader((tmp_path / "results.csv").open())
        found[share] = json.loads(line)["values"]["sex"]
        assert float(row["sex_prevalence"]) == pytest.approx(found[share]["prevalence"])
    assert (found["0.05"]["prevalence"], found["0.5"]["prevalence"]) == (0.05, 0.5)
    odds = {share: v["probability"] / (1 - v["probability"]) for share, v in found.items()}
    assert odds["0.05"] / odds["0.5"] == pytest.approx(0.05 / 0.95)
    share = found[None]["prevalence"]
    assert odds[None] / odds["0.5"] == pytest.approx(share / (1 - share))


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("predict", "x.nii", "--out", "o", "--json"), 2, "--json"),
        (("predict", "x.nii", "--identifiers", "drop"), 2, "--out"),
        (("predict", "x.nii", "--out", "o", "--identifiers", "some"), 2, "keep"),
        (("predict", "x.nii", "--cache", "c"), 2, "--cache goes with --out"),
        (("predict", "x.nii", "--out", "o", "--cache", "c", "--report", "r"), 2, "--report"),
        (("predict", "x.nii", "--ray", "head:6379"), 2, "--ray goes with --out"),
        (("predict", "x.nii", "--out", "o", "--ray", "head"), 2, "HOST:PORT"),
        (("predict", "x.nii", "--out", "o", "--ray", "h:1", "--device", "cuda:1"), 2, "--device"),
        (("predict", "x.nii", "--out", "o", "--ray", "127.0.0.1:1"), 3, "no Ray cluster answers"),
        (("predict", ".", "--out", "o"), 1, "holds no scan"),
        (("predict", ".", "--out", "o", "--prevalence", "sex=2"), 2, "sex is 2; it lies between"),
        (("ledger", "show", "."), 1, "does not exist"),
        (("ledger", "retry", "ledger.sqlite", "--state", "done"), 2, "cannot be retried"),
        (("ledger", "retry", "ledger.sqlite", "--state", "lost"), 2, "waiting, running"),
    ],
)
def test_wrong_words_are_one_sentence(fmtool, tmp_path, words, code, said):
    done = fmtool(*words, cwd=tmp_path)
    assert done.returncode == code
    assert said in done.stderr
    assert not (tmp_path / "o" / "results.csv").exists()


def start(inbox, out, cache):
    return subprocess.Popen(
        [sys.executable, "-m", "fmtool", "predict", str(inbox), "--out", str(out)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "XDG_CACHE_HOME": str(cache)},
    )


def states(out):
    """How many items are in each state, once there is a ledger."""
    if not (out / "ledger.sqlite").exists():
        return {}
    with sqlite3.connect(out / "ledger.sqlite") as ledger:
        try:
            return dict(ledger.execute("SELECT state, count(*) FROM items GROUP BY state"))
        except sqlite3.OperationalError:
            return {}


def wait_for(out, state, process):
    while not states(out).get(state):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_its_number_and_nothing_running(inbox, tmp_path, number):
    out = tmp_path / "out"
    process = start(inbox, out, tmp_path / "cache")
    wait_for(out, "running", process)
    os.killpg(process.pid, number)  # the workers hear it, too, as from a terminal or systemd
    _, said = process.communicate(timeout=120)
    assert process.returncode == 128 + number, said
    assert "Traceback" not in said
    assert number.name in said
    assert "running" not in states(out)
    assert (out / "results.jsonl").exists()
    assert not list(out.glob(".work-*"))


@pytest.mark.slow
def test_kill_9_at_random_loses_nothing(tmp_path, monkeypatch):
    pytest.importorskip("torch", reason="the narrow encoder is made with torch")
    from benchmarks.batch import crash, scans

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    summary = crash.crash(8, 6, 3, tmp_path, scans.tiny_bundle(tmp_path))
    assert summary["kills"] == 8
    assert not summary["problems"]
