"""Whoever delivers into the inbox can deliver, and no more: tried with two accounts."""

from __future__ import annotations

import os
import threading
import time

import pytest

from runtime.service import move
from runtime.service.watch import front as fronts

_OWNER, _SENDER, _GROUP = 54321, 54322, 54323  # the group is that of `as_account`
ACCOUNTS = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be two accounts in turn")


@pytest.fixture
def site(tmp_path):
    """The documented layout: an inbox to deliver into and an outbox, in a folder of root's."""
    top = tmp_path / "srv"
    top.mkdir(mode=0o755)
    top.chmod(0o755)
    for name, group, mode in (("inbox", _GROUP, 0o3730), ("outbox", _OWNER, 0o700)):
        (top / name).mkdir()
        os.chown(top / name, _OWNER, group)
        (top / name).chmod(mode)
    return top


def deliver(site):
    (site / "inbox" / "a.nii").write_bytes(b"good 1")
    (site / "inbox" / "series").mkdir()
    (site / "inbox" / "series" / "1.dcm").write_bytes(b"x")
    (site / "inbox" / "bad.nii").write_bytes(b"nothing")


def watched(site, worker):
    from runtime.service.ending import Ending
    from runtime.service.watch import service

    settings = fronts.WatchSettings(site / "inbox", settle_s=0.05, once=True)
    service.watch(settings, site / "outbox", lambda: worker, Ending(), 0)


@ACCOUNTS
def test_a_sender_delivers_everything_and_reads_and_changes_nothing(site, worker, as_account):
    assert as_account(_SENDER, lambda: deliver(site))
    assert as_account(_OWNER, lambda: watched(site, worker))
    out = site / "outbox"
    assert (out / "a" / "result.json").exists()
    assert (out / "series" / "result.json").exists()
    assert (out / "quarantine" / "bad" / "bad.nii").read_bytes() == b"nothing"
    for path in (out, *out.rglob("*")):
        facts = path.lstat()
        assert facts.st_uid == _OWNER, path
        assert not facts.st_mode & 0o077, path
    # What its sender alone may remove is no item any more.
    left = [p.name for p in (site / "inbox").iterdir()]
    assert len(left) == 1
    assert left[0].startswith(move.LEFT)

    for forbidden in (
        lambda: os.listdir(out),
        lambda: os.listdir(site / "inbox"),
        lambda: (out / "ledger.sqlite").rename(out / "gone"),
        lambda: (out / "a" / "result.json").read_bytes(),
        lambda: out.rename(site / "other"),
        lambda: (site / "inbox").rename(site / "other"),
        lambda: (site / "planted").mkdir(),
        lambda: (out / "planted").mkdir(),
        lambda: (out / "quarantine").rename(out / "done"),
    ):
        assert not as_account(_SENDER, forbidden)


@ACCOUNTS
def test_one_sender_cannot_take_what_another_delivered(site, as_account):
    assert as_account(_SENDER, lambda: (site / "inbox" / "a.nii").write_bytes(b"good"))
    for forbidden in (
        lambda: (site / "inbox" / "a.nii").unlink(),
        lambda: (site / "inbox" / "a.nii").rename(site / "inbox" / "b.nii"),
        lambda: (site / "inbox" / "a.nii").write_bytes(b"other"),
    ):
        assert not as_account(_SENDER + 10, forbidden)


@ACCOUNTS
def test_what_its_sender_holds_open_is_copied_and_stays_as_it_was(tmp_path):
    item = tmp_path / "in" / "a.nii"
    item.parent.mkdir()
    item.write_bytes(b"good")
    os.chown(item, _SENDER, _SENDER)
    (tmp_path / "out").mkdir()
    with item.open("r+b") as held:
        moved = move.move(item, tmp_path / "out", "a.nii")
        held.write(b"evil")
    assert moved.read_bytes() == b"good"
    assert moved.stat().st_uid == os.geteuid()
    assert not item.exists()


@ACCOUNTS
def test_no_link_is_followed_while_a_folder_is_copied(tmp_path):
    item = tmp_path / "in" / "series"
    (item / "sub").mkdir(parents=True)
    (tmp_path / "secret").write_bytes(b"secret")
    (item / "1.dcm").write_bytes(b"x")
    (item / "link").symlink_to(tmp_path / "secret")
    os.mkfifo(item / "sub" / "pipe")
    os.chown(item, _SENDER, _SENDER)
    (tmp_path / "out").mkdir()
    moved = move.move(item, tmp_path / "out", "series")
    assert sorted(p.relative_to(moved).as_posix() for p in moved.rglob("*")) == ["1.dcm", "sub"]


def test_a_file_that_becomes_a_pipe_while_it_is_read_holds_up_nobody(
    inbox, out, running, monkeypatch
):
    (inbox / "a.nii").write_bytes(b"good")
    begin, swapped = fronts.WatchFront.begin, threading.Event()

    def swap(self, work):
        if not swapped.is_set():
            (inbox / "a.nii").unlink()
            os.mkfifo(inbox / "a.nii")
            swapped.set()
        return begin(self, work)

    monkeypatch.setattr(fronts.WatchFront, "begin", swap)
    ending = running()
    assert swapped.wait(8)
    (inbox / "b.nii").write_bytes(b"good")
    end = time.monotonic() + 8
    while not ((out / "b" / "result.json").exists() and (out / "quarantine" / "a").exists()):
        assert time.monotonic() < end
        time.sleep(0.02)
    ending.ask()  # and the fixture sees that it ends


@pytest.mark.parametrize("how", ["renamed", "rewritten"])
def test_a_file_that_is_replaced_and_put_back_while_it_is_read(inbox, out, run, worker, how):
    item = inbox / "a.nii"
    item.write_bytes(b"good 1")
    facts = item.stat()

    def swap(order, stop):
        if len(worker.orders) > 1:
            return None
        if how == "renamed":
            item.rename(inbox / ".kept")
            item.write_bytes(b"good 2")
            (inbox / ".kept").replace(item)
        else:
            item.write_bytes(b"good 2")
            item.write_bytes(b"good 1")
            os.utime(item, ns=(facts.st_atime_ns, facts.st_mtime_ns))
        return None

    worker.first = swap
    assert run() == {"answered": 1}
    assert len(worker.orders) == 2  # what was read the first time is dropped
