"""Watch: every good item is answered once, every bad one is put aside, and neither stops it."""

from __future__ import annotations

import errno
import json
import logging
import os
import shutil
import time

import pytest

from fmtool.errors import FmtoolError, InputError, UsageError
from runtime.ledger import Ledger
from runtime.service.alone import alone
from runtime.service.answer import Fate, Outcome
from runtime.service.guard import SpaceGuard
from runtime.service.watch import outbox as outboxes
from runtime.service.watch import service
from runtime.service.watch.look import Settling


def until(true, seconds=8.0):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


def test_good_items_are_answered_and_bad_ones_put_aside_with_the_reason(inbox, out, run, ledger):
    (inbox / "a.nii.gz").write_bytes(b"good 1")
    (inbox / "bad.nii.gz").write_bytes(b"nothing")
    (inbox / "series").mkdir()
    (inbox / "series" / "1.dcm").write_bytes(b"x")
    assert run() == {"answered": 2, "quarantined": 1}
    assert list(inbox.iterdir()) == []
    result = json.loads((out / "a" / "result.json").read_text(encoding="utf-8"))
    assert result["scan"] == "a.nii.gz"
    assert len(result["content"]) == 64
    assert result["finished"]
    assert "a.nii.gz" in (out / "a" / "report.html").read_text(encoding="utf-8")
    assert (out / "series" / "result.json").exists()
    assert (out / "done" / "a.nii.gz").read_bytes() == b"good 1"
    assert (out / "quarantine" / "bad" / "bad.nii.gz").read_bytes() == b"nothing"
    reason = (out / "quarantine" / "bad" / "reason.txt").read_text(encoding="utf-8")
    assert reason == "bad.nii.gz is not a NIfTI file\n"
    states = ledger("SELECT source, state FROM items ORDER BY source")
    assert states == [("a.nii.gz", "done"), ("bad.nii.gz", "quarantined"), ("series", "done")]
    assert not [p for p in out.iterdir() if p.name.startswith(".fmtool-")]


def test_only_the_tasks_asked_for_are_shown_and_all_are_recorded(inbox, out, run, ledger):
    (inbox / "a.nii").write_bytes(b"good")
    run(tasks=("age",))
    assert list(json.loads((out / "a" / "result.json").read_text(encoding="utf-8"))["values"]) == [
        "age"
    ]
    ((data,),) = ledger("SELECT data FROM results")
    assert list(json.loads(data)["values"]) == ["age", "sex"]


def test_the_same_content_is_computed_once_and_answered_under_each_name(
    inbox, out, run, worker, ledger
):
    (inbox / "a.nii").write_bytes(b"good")
    run()
    (inbox / "b.nii").write_bytes(b"good")
    (inbox / "a.nii").write_bytes(b"good")
    run()
    assert len(worker.orders) == 1
    twin = json.loads((out / "b" / "result.json").read_text(encoding="utf-8"))
    assert twin["scan"] == "b.nii"
    assert "another name" in twin["warnings"][0]
    assert "b.nii" in (out / "b" / "report.html").read_text(encoding="utf-8")
    assert "a.nii" not in (out / "b" / "report.html").read_text(encoding="utf-8")
    assert sorted(p.name for p in (out / "done").iterdir()) == ["a.nii", "a.nii-2", "b.nii"]
    assert ledger("SELECT count(*) FROM results") == [(1,)]


def test_another_content_of_the_same_name_replaces_nothing(inbox, out, run):
    (inbox / "a.nii").write_bytes(b"good 1")
    run()
    before = (out / "a" / "result.json").read_text(encoding="utf-8")
    (inbox / "a.nii").write_bytes(b"good 2")
    run()
    assert (out / "a" / "result.json").read_text(encoding="utf-8") == before
    (second,) = out.glob("a-*")
    assert (
        json.loads((second / "result.json").read_text(encoding="utf-8"))["content"][:12]
        == second.name[2:]
    )


def test_an_item_that_still_grows_is_waited_for(inbox):
    now = [0.0]
    settling = Settling(inbox, 10.0, clock=lambda: now[0])
    folder = inbox / "series"
    folder.mkdir()
    for part in range(5):  # each part resets the window, also one deep in a folder
        (folder / f"{part}").mkdir()
        (folder / f"{part}" / "1.dcm").write_bytes(b"x")
        now[0] += 9.0
        assert settling.update(["series"]) == []
    with (folder / "0" / "1.dcm").open("ab") as stream:
        stream.write(b"x")
    now[0] += 9.0
    assert settling.update(["series"]) == []
    now[0] += 10.0
    ((name, seen),) = settling.update(["series"])
    assert (name, seen.refused) == ("series", "")
    settling.again("series")
    assert settling.update(["series"]) == []


def test_the_longest_unchanged_goes_first(inbox):
    now = [0.0]
    settling = Settling(inbox, 10.0, clock=lambda: now[0])
    for name in ("b", "a"):
        (inbox / name).touch()
        settling.update(sorted(p.name for p in inbox.iterdir()))
        now[0] += 5.0
    now[0] += 10.0
    assert [name for name, _ in settling.update(["a", "b"])] == ["b", "a"]


def test_an_item_that_changes_while_it_is_read_is_read_again(inbox, out, run, worker, ledger):
    (inbox / "a.nii").write_bytes(b"goo")

    def change(order, stop):
        if len(worker.orders) == 1:
            (inbox / "a.nii").write_bytes(b"good")

    worker.first = change
    assert run() == {"answered": 1}
    assert len(worker.orders) == 2
    assert (out / "done" / "a.nii").read_bytes() == b"good"
    assert ledger("SELECT count(*) FROM results") == [(1,)]


UNFINISHED = [
    ".a.nii.gz.Xy12aB", ".1.2.840.10008.i8Kq0z", "a.nii.part", "a.nii.gz.filepart", "b.tmp",
    "B.TMP",
    "a.nii.crdownload", "a.nii.partial", "a.nii~", "~a.nii", "~$a.nii", ".~lock.a.nii#", ".~tmp~",
    ".a.nii.~4db2", ".rsync-partial", "~syncthing~a.nii.tmp", ".goutputstream-1X2Y3Z",
]  # fmt: skip
FINISHED = [".DS_Store", "._1.2.840.113619", "IM-0001-0001.dcm", "1.2.840.113619", "part",
            "a.tmp.dcm",             ".directory", "Thumbs.db"]  # fmt: skip


@pytest.mark.parametrize("name", [*UNFINISHED, ".hidden", ".DS_Store"])
def test_hidden_and_unfinished_files_are_left_alone(inbox, out, run, name):
    (inbox / name).write_bytes(b"good")
    assert run() == {}
    assert len(list(inbox.iterdir())) == 1


@pytest.mark.parametrize("name", UNFINISHED)
@pytest.mark.parametrize("deep", [False, True])
def test_an_item_is_waited_for_while_a_file_in_it_is_being_copied(inbox, name, deep):
    now = [0.0]
    settling = Settling(inbox, 10.0, clock=lambda: now[0])
    folder = inbox / "series" / "1" if deep else inbox / "series"
    folder.mkdir(parents=True)
    (folder / "1.dcm").write_bytes(b"x")
    (folder / name).write_bytes(b"half")
    for _ in range(10):
        assert settling.update(["series"]) == []
        now[0] += 19.0  # a copy that stands still for long
    (folder / name).rename(folder / "2.dcm")
    assert settling.update(["series"]) == []
    now[0] += 10.0
    ((_, seen),) = settling.update(["series"])
    assert seen.refused == ""


def test_a_copy_that_was_never_finished_is_put_aside_in_the_end(inbox, out, run, worker):
    (inbox / "series").mkdir()
    (inbox / "series" / ".1.dcm.Xy12aB").write_bytes(b"half")
    assert run() == {"quarantined": 1}
    assert worker.orders == []
    reason = (out / "quarantine" / "series" / "reason.txt").read_text(encoding="utf-8")
    assert ".1.dcm.Xy12aB" in reason
    assert "copy it again" in reason


@pytest.mark.parametrize("name", FINISHED)
def test_other_names_in_an_item_hold_nothing_up(inbox, name):
    now = [0.0]
    settling = Settling(inbox, 10.0, clock=lambda: now[0])
    (inbox / "series").mkdir()
    (inbox / "series" / name).write_bytes(b"x")
    settling.update(["series"])
    now[0] += 10.0
    ((_, seen),) = settling.update(["series"])
    assert seen.refused == ""


def test_links_and_pipes_are_never_opened(inbox, out, run, worker, tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(b"good secret")
    (inbox / "link.nii").symlink_to(secret)
    os.mkfifo(inbox / "pipe.nii")
    (inbox / "series").mkdir()
    (inbox / "series" / "link.dcm").symlink_to(secret)
    assert run() == {"quarantined": 3}
    assert worker.orders == []
    assert secret.read_bytes() == b"good secret"
    assert "link" in (out / "quarantine" / "series" / "reason.txt").read_text(encoding="utf-8")
    assert (out / "quarantine" / "link" / "link.nii").is_symlink()


def test_a_size_that_no_series_has_is_refused_without_reading_it(inbox, out, run, worker):
    with (inbox / "sparse.nii").open("wb") as stream:
        stream.truncate(1 << 42)
    assert run() == {"quarantined": 1}
    assert worker.orders == []
    assert "4398046511104 bytes" in (out / "quarantine" / "sparse" / "reason.txt").read_text(
        encoding="utf-8"
    )


def test_what_cannot_be_moved_holds_up_no_other(inbox, out, run, monkeypatch):
    real = os.rename

    def rename(source, target):
        if str(source).endswith("inbox/a.nii"):
            raise PermissionError(errno.EPERM, "Operation not permitted")
        real(source, target)

    monkeypatch.setattr("runtime.service.move.os.rename", rename)
    (inbox / "a.nii").write_bytes(b"good")
    (inbox / "b.nii").write_bytes(b"good b")
    assert run()["left"] == 1
    assert (out / "a" / "result.json").exists()
    assert (out / "done" / "b.nii").exists()


def test_a_worker_that_does_not_start_is_no_scans_fault(inbox, run, worker, ledger):
    failures = [2]

    def ensure():
        if failures[0]:
            failures[0] -= 1
            raise FmtoolError("the predicting process did not start")

    worker.ensure = ensure
    (inbox / "a.nii").write_bytes(b"good")
    assert run() == {"answered": 1}
    assert ledger("SELECT attempts FROM items") == [(0,)]


def test_too_many_files_are_refused_without_reading_them(inbox, run, worker, monkeypatch):
    monkeypatch.setattr("runtime.service.watch.look.MAX_FILES", 10)
    (inbox / "many").mkdir()
    for number in range(12):
        (inbox / "many" / str(number)).touch()
    assert run() == {"quarantined": 1}
    assert worker.orders == []


@pytest.mark.parametrize(
    "name",
    ["reason.txt", "quarantine", "done", "ledger.sqlite", "-rf.nii", "a b\n<é>.nii", "x" * 200],
)
def test_no_name_leads_astray(inbox, out, run, name):
    (inbox / name).write_bytes(b"good")
    (inbox / f"{name[:100]}2").write_bytes(b"nothing")
    assert run() == {"answered": 1, "quarantined": 1}
    written = [p.relative_to(out).as_posix() for p in out.rglob("*")]
    assert all(set(p) <= set("abcdefghijklmnopqrstuvwxyz0123456789._-/") for p in written), written
    assert len(list(out.glob("*/result.json"))) == 1


def test_names_stay_out_of_the_log_and_the_ledger_unless_kept(inbox, run, ledger, caplog, out):
    from runtime.ledger import Identifiers
    from runtime.service.log import JsonLines

    (inbox / "Smith_J.nii").write_bytes(b"good")
    (inbox / "Jones_K.nii").write_bytes(b"nothing")
    logging.getLogger("fmtool").propagate = True
    with caplog.at_level("INFO"):
        run(identifiers=Identifiers.drop)
    lines = [JsonLines(Identifiers.drop).format(r) for r in caplog.records]
    assert {json.loads(line)["event"] for line in lines} >= {"answered", "quarantined"}
    assert not [line for line in lines if "Smith" in line or "Jones" in line]
    assert "Jones" not in str(ledger("SELECT * FROM errors")) + str(ledger("SELECT * FROM items"))
    kept = [JsonLines(Identifiers.keep).format(r) for r in caplog.records]
    assert any("Smith_J.nii" in line for line in kept)


def test_what_fails_otherwise_is_tried_three_times(inbox, out, run, worker, ledger):
    (inbox / "a.nii").write_bytes(b"good")
    (inbox / "b.nii").write_bytes(b"good b")
    worker.first = lambda order, stop: (
        Outcome(Fate.broken, "Crash", f"{order.scan} ended the process")
        if order.scan == "a.nii"
        else None
    )
    assert run() == {"answered": 1, "quarantined": 1}
    assert [o.scan for o in worker.orders].count("a.nii") == 3
    assert "ended the process" in (out / "quarantine" / "a" / "reason.txt").read_text(
        encoding="utf-8"
    )
    assert ledger("SELECT state, attempts FROM items WHERE source = 'a.nii'") == [("failed", 3)]


def test_an_unreadable_file_holds_up_no_other(inbox, out, run, worker, monkeypatch):
    (inbox / "a.nii").write_bytes(b"good")
    (inbox / "b.nii").write_bytes(b"good b")
    whole = worker.digest

    def digest(path, give_up):
        if path.name == "a.nii":
            raise PermissionError(errno.EACCES, "Permission denied")
        return whole(path, give_up)

    monkeypatch.setattr(worker, "digest", digest)
    assert run() == {"answered": 1, "quarantined": 1}
    assert "Permission denied" in (out / "quarantine" / "a" / "reason.txt").read_text(
        encoding="utf-8"
    )


def test_a_full_disk_is_waited_for_and_said_once(inbox, out, running, worker, monkeypatch, caplog):
    full = [True]
    monkeypatch.setattr(SpaceGuard, "enough", lambda self, more=0: not full[0])
    logging.getLogger("fmtool").propagate = True
    (inbox / "a.nii").write_bytes(b"good")
    with caplog.at_level("INFO"):
        running()
        time.sleep(0.5)
        assert worker.orders == []
        full[0] = False
        until((out / "done" / "a.nii").exists)
    said = [r.msg for r in caplog.records]
    assert said.count("waiting") == 1
    assert said.count("going_on") == 1


def test_a_disk_that_fills_up_while_writing_loses_nothing(inbox, out, run, worker, ledger):
    (inbox / "a.nii").write_bytes(b"good")
    blocked = Outcome(Fate.blocked, "disk_full", "cannot write the result")
    worker.first = lambda order, stop: blocked if len(worker.orders) < 3 else None
    assert run() == {"answered": 1}
    assert ledger("SELECT state, attempts FROM items") == [("done", 0)]


def test_a_ledger_that_cannot_be_written_loses_nothing(inbox, out, run, monkeypatch):
    from fmtool.errors import LedgerError

    real, failures = Ledger.finish, [2]

    def finish(self, item, data):
        if failures[0]:
            failures[0] -= 1
            raise LedgerError("database or disk is full")
        return real(self, item, data)

    monkeypatch.setattr(Ledger, "finish", finish)
    (inbox / "a.nii").write_bytes(b"good")
    assert run() == {"answered": 1}
    assert (out / "a" / "result.json").exists()


@pytest.mark.parametrize("step", ["finish", "publish", "keep"])
def test_a_crash_between_two_steps_is_made_good(inbox, out, run, worker, monkeypatch, step, ledger):
    """The process dies right after a step; the next one finds the rest to do."""
    owner = Ledger if step == "finish" else outboxes.Outbox
    real = getattr(owner, step)

    class Killed(BaseException):
        pass

    def die(*words):
        real(*words)
        raise Killed

    monkeypatch.setattr(owner, step, die)
    (inbox / "a.nii").write_bytes(b"good")
    with pytest.raises(Killed):
        run()
    monkeypatch.setattr(owner, step, real)
    run()
    assert len(worker.orders) == 1
    assert "another name" not in (out / "a" / "result.json").read_text(encoding="utf-8")
    assert [p.name for p in (out / "done").iterdir()] == ["a.nii"]
    assert list(inbox.iterdir()) == []
    assert ledger("SELECT state FROM items") == [("done",)]


def test_a_crash_while_putting_aside_is_made_good(inbox, out, run, monkeypatch):
    real = Ledger.quarantine

    class Killed(BaseException):
        pass

    def die(*words):
        real(*words)
        raise Killed

    monkeypatch.setattr(Ledger, "quarantine", die)
    (inbox / "a.nii").write_bytes(b"nothing")
    with pytest.raises(Killed):
        run()
    assert run() == {"quarantined": 1}
    assert [p.name for p in (out / "quarantine").iterdir()] == ["a"]
    assert "not a NIfTI" in (out / "quarantine" / "a" / "reason.txt").read_text(encoding="utf-8")


def test_another_disk_is_copied_to_before_the_original_goes(inbox, out, run, monkeypatch):
    real = os.rename

    def rename(source, target):
        if str(source).startswith(str(inbox)):
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        real(source, target)

    monkeypatch.setattr("runtime.service.move.os.rename", rename)
    (inbox / "a.nii").write_bytes(b"good")
    (inbox / "s").mkdir()
    (inbox / "s" / "1").write_bytes(b"x")
    assert run() == {"answered": 2}
    assert (out / "done" / "s" / "1").read_bytes() == b"x"
    assert list(inbox.iterdir()) == []


def test_the_end_waits_for_what_is_under_way_and_releases_it_when_it_must(
    inbox, running, worker, ledger
):
    (inbox / "a.nii").write_bytes(b"good")

    def long(order, stop):
        while not stop():
            time.sleep(0.01)
        return Outcome(Fate.stopped)

    worker.first = long
    ending = running()
    until(lambda: worker.orders)
    ending.ask(143)
    time.sleep(0.2)
    assert not ending.give_up()
    ending.ask(143)  # a second signal
    until(lambda: ledger("SELECT state FROM items") == [("waiting",)])
    assert (inbox / "a.nii").exists()


def test_originals_are_kept_unless_they_are_told_to_go(inbox, out, run):
    (inbox / "a.nii").write_bytes(b"good")
    run()
    run(keep_days=1.0)
    assert (out / "done" / "a.nii").exists()
    (inbox / "b.nii").write_bytes(b"good b")
    run(keep_days=0.0)
    assert not (out / "done" / "a.nii").exists()
    assert (out / "a" / "result.json").exists()


def test_folders_that_cannot_serve_are_refused(inbox, out, tmp_path, run):
    with pytest.raises(UsageError, match="must not lie in each other"):
        service.check(inbox, inbox / "out")
    with pytest.raises(UsageError, match="must not lie in each other"):
        service.check(inbox, inbox)
    with pytest.raises(InputError, match="is not a folder"):
        service.check(tmp_path / "absent", out)
    out.mkdir()
    with alone(out, "watch"), pytest.raises(InputError, match="another watch"):
        run()


def test_an_inbox_that_goes_away_for_a_while_is_waited_for(inbox, out, running):
    running()
    until((out / "done").exists)
    shutil.rmtree(inbox)
    time.sleep(0.3)
    inbox.mkdir()
    (inbox / "a.nii").write_bytes(b"good")
    until((out / "done" / "a.nii").exists)
