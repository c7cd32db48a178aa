"""Ledger: what is claimed by one is claimed by no other, and nothing is computed twice."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from runtime.ledger import Identifiers, Ledger
from runtime.ledger.outcomes import counts, items, outcomes
from runtime.system import owner
from runtime.system.clock import stamp

BUNDLE = "b" * 64
CRASH = """
import os, sys
from pathlib import Path
from runtime.ledger import Ledger
ledger = Ledger(Path(sys.argv[1]))
assert ledger.claim(1) == "claimed"
print("claimed", flush=True)
os.kill(os.getpid(), 9)
"""
RACE = """
import sys
from pathlib import Path
from runtime.system.clock import stamp
from runtime.ledger import Ledger
with Ledger(Path(sys.argv[1])) as ledger:
    for item in range(1, 61):
        if ledger.claim(item) == "claimed":
            data = {"finished": stamp(), "timings": {"total": 1.0}, "engine": "e", "version": "v"}
            assert ledger.finish(item, data)
            print(item)
"""


def result(**more):
    """The least a result has."""
    return {
        "scan": "x",
        "values": {},
        "timings": {"total": 1.5},
        "engine": "an engine",
        "version": "1",
        "finished": stamp(),
        **more,
    }


@pytest.fixture
def ledger(tmp_path):
    with Ledger(tmp_path / "ledger.sqlite") as opened:
        yield opened


def add(ledger, source="a.nii", content="c" * 64, **options):
    return ledger.add(source, content, BUNDLE, options)


def another(ledger, identifiers=Identifiers.keep, name="elsewhere|1|2"):
    """The same file, opened by what seems to be a process of another machine."""
    opened = Ledger(ledger.path, identifiers)
    opened._me = name
    return opened


def test_an_item_is_entered_once(ledger):
    assert add(ledger) == add(ledger)
    assert len({add(ledger), add(ledger, "b.nii"), add(ledger, content="d"), add(ledger, x=1)}) == 4


def test_done_with_its_result(ledger):
    item = add(ledger)
    assert ledger.claim(item) == "claimed"
    assert ledger.claim(item) == "busy"
    assert ledger.finish(item, result(values={"age": 3}))
    assert ledger.claim(item) == "done"
    (outcome,) = outcomes(ledger)
    assert outcome["scan"] == "a.nii"
    assert outcome["values"] == {"age": 3}
    (shown,) = items(ledger, "done")
    assert shown.seconds == 1.5
    assert shown.finished.endswith("+00:00")


def test_the_same_content_is_computed_once(ledger):
    first, second = add(ledger), add(ledger, "copy.nii")
    assert ledger.claim(first) == "claimed"
    assert ledger.claim(second) == "busy"
    ledger.finish(first, result())
    assert ledger.claim(second) == "done"
    assert [outcome["scan"] for outcome in outcomes(ledger)] == ["a.nii", "copy.nii"]
    assert ledger.run("SELECT count(*) FROM results").fetchone()[0] == 1


def test_other_options_and_what_could_not_be_read_are_computed_anew(ledger):
    for item in (add(ledger), add(ledger, head="whole"), add(ledger, content=None)):
        assert ledger.claim(item) == "claimed"
        ledger.finish(item, result())
    unread = add(ledger, "other.nii", content=None)
    assert ledger.claim(unread) == "claimed"


def test_a_failure_of_the_scan_is_final_until_it_is_retried(ledger):
    item = add(ledger)
    ledger.claim(item)
    assert ledger.fail(item, "it is no head") == "failed"
    assert ledger.claim(item) == "failed"
    (outcome,) = outcomes(ledger)
    assert outcome["error"] == "it is no head"
    assert ledger.retry() == 1
    assert ledger.claim(item) == "claimed"


def test_a_passing_failure_is_tried_three_times(ledger):
    item = add(ledger)
    states = []
    for _ in range(3):
        assert ledger.claim(item) == "claimed"
        states.append(ledger.fail(item, "the disk did not answer", passing=True))
    assert states == ["waiting", "waiting", "failed"]
    assert [i.attempts for i in items(ledger)] == [3]


def test_a_twin_of_a_failure_fails_in_its_own_words(ledger):
    first, second = add(ledger), add(ledger, "copy.nii")
    ledger.claim(first)
    ledger.fail(first, "a.nii is no head")
    assert ledger.claim(second) == "claimed"


def test_quarantine(ledger):
    item = add(ledger)
    ledger.claim(item)
    assert ledger.quarantine(item, "half a series") == "quarantined"
    assert ledger.retry() == 0
    assert ledger.retry(["quarantined"]) == 1
    assert counts(ledger)["waiting"] == 1


def test_what_is_given_back_waits(ledger):
    ledger.claim(add(ledger))
    assert ledger.release() == 1
    assert ledger.claim(1) == "claimed"


def test_what_could_not_be_read_waits_again_when_it_is_named_again(ledger):
    item = add(ledger, content=None)
    ledger.claim(item)
    ledger.fail(item, "does not exist")
    assert add(ledger, content=None) == item
    assert ledger.state(item) == "waiting"


def test_a_killed_process_s_claim_is_void_at_once(ledger):
    add(ledger)
    command = [sys.executable, "-c", CRASH, str(ledger.path)]
    killed = subprocess.run(command, capture_output=True, text=True, check=False)
    assert killed.stdout == "claimed\n", killed.stderr
    assert killed.returncode == -9
    assert ledger.state(1) == "running"
    assert ledger.claim(1) == "claimed"


def test_a_claim_from_elsewhere_lasts_as_long_as_its_heart_beats(ledger, monkeypatch):
    item = add(ledger)
    with another(ledger) as other:
        assert other.claim(item) == "claimed"
        assert ledger.claim(item) == "busy"
        monkeypatch.setattr(owner, "STALE_SECONDS", -1.0)
        assert ledger.claim(item) == "claimed"
        assert not other.finish(item, result())  # too late: it is not its own any more
        assert other.fail(item, "too late") == "running"
    assert ledger.finish(item, result())
    assert ledger.run("SELECT count(*) FROM errors").fetchone()[0] == 0


def test_a_heartbeat(ledger, monkeypatch):
    item = add(ledger)
    ledger.claim(item)
    before = ledger._row(item)["heartbeat"]
    monkeypatch.setattr(owner, "BEAT_SECONDS", 0.0)
    ledger.beat()
    assert ledger._row(item)["heartbeat"] > before


def test_a_later_process_of_the_same_number_is_another():
    place, number, started = owner.me().rsplit("|", 2)
    assert owner.lives(f"{place}|{number}|{started}", None)
    assert not owner.lives(f"{place}|{number}|{int(started or 0) - 1}", None)


def test_several_processes_share_the_work(ledger):
    for number in range(60):
        add(ledger, f"{number}.nii", f"{number:064}")
    command = [sys.executable, "-c", RACE, str(ledger.path)]
    with ThreadPoolExecutor(4) as threads:
        done = list(
            threads.map(
                lambda _: subprocess.run(command, capture_output=True, text=True, check=True),
                range(4),
            )
        )
    taken = [int(line) for one in done for line in one.stdout.split()]
    assert sorted(taken) == list(range(1, 61))
    assert counts(ledger)["done"] == 60


@pytest.mark.parametrize("kind", ["hash", "drop"])
def test_paths_stay_out_of_the_file(tmp_path, kind):
    path = tmp_path / "ledger.sqlite"
    with Ledger(path, Identifiers(kind)) as ledger:
        item = add(ledger, "/ward/Doe_Jane.nii")
        assert add(ledger, "/ward/Doe_Jane.nii") == item
        assert "Doe" not in ledger.shown(item)
        ledger.vacuum()
    assert b"Doe" not in path.read_bytes()


def test_vacuum_frees_space(ledger):
    for number in range(300):
        add(ledger, f"{number:0500}", f"{number:064}")
    ledger.run("DELETE FROM items")
    ledger.run("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    before = ledger.path.stat().st_size
    ledger.vacuum()
    assert ledger.path.stat().st_size < before / 2
