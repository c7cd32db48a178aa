"""What is put aside is deleted after its time, above a size, or where the disk needs the space."""

from __future__ import annotations

import json
import os
import time
from collections import namedtuple

import pytest

from fmtool.errors import CapabilityError, InputError, PreprocessingError
from runtime.service import guard
from runtime.service.node.policy import Policy
from runtime.service.node.storage import Inbox, names

DAY = 86400
POLICY = Policy(allow=("A",), min_free_bytes=0)


@pytest.fixture
def inbox(tmp_path):
    opened = Inbox(tmp_path / "inbox", 0)
    yield opened
    opened.close()


def put(inbox, uid, size=100, days=0.0, unsuited=True, objects=2):
    """Put a series aside some days ago; its name on disk."""
    for number in range(objects):
        name = names("study", uid, "patient", f"{uid}.{number}")
        inbox.store(name, (b"x" * size,), size)
    inbox.take(name.series)
    inbox.quarantine(name.series, f"why {uid}", 1, unsuited)
    then = time.time() - days * DAY
    os.utime(inbox.folder / "quarantine" / f"{name.series}.json", (then, then))
    return name.series


def held(inbox):
    return {p.name for p in (inbox.folder / "quarantine").iterdir() if p.is_dir()}


def test_by_default_the_unsuited_go_after_a_week_and_the_rest_after_a_month(inbox):
    kept = {put(inbox, "1", days=6.9), put(inbox, "2", days=29.9, unsuited=False)}
    gone = {put(inbox, "3", days=7.1), put(inbox, "4", days=30.1, unsuited=False)}
    assert inbox.let_go(POLICY) == 2
    assert held(inbox) == kept
    for series in gone:  # what was said of it stays
        said = json.loads((inbox.folder / "quarantine" / f"{series}.json").read_text())
        assert said["reason"].startswith("why")
    assert not list(inbox.temporary.iterdir())
    assert inbox.let_go(POLICY) == 0


def test_above_the_size_the_unsuited_and_the_older_go_first(inbox):
    failed = [put(inbox, f"f{n}", days=20 - n, unsuited=False) for n in range(2)]
    unsuited = [put(inbox, f"u{n}", days=5 - n) for n in range(3)]
    for limit, left in [(1000, 5), (999, 4), (600, 3), (400, 2), (399, 1), (0, 0)]:
        policy = Policy(allow=("A",), min_free_bytes=0, max_quarantine_bytes=limit)
        inbox.let_go(policy)
        assert held(inbox) == set([*unsuited, *failed][5 - left :])


def test_a_disk_that_fills_lets_the_unsuited_go_and_keeps_the_rest(inbox, monkeypatch):
    old, new = put(inbox, "1", days=2), put(inbox, "2", days=1)
    failed = put(inbox, "3", unsuited=False)
    usage, free = namedtuple("Usage", "free"), [1900]
    monkeypatch.setattr(guard.shutil, "disk_usage", lambda path: usage(free[0]))
    policy = Policy(allow=("A",), min_free_bytes=1000)
    assert inbox.let_go(policy) == 1  # 200 bytes are there again
    assert held(inbox) == {new, failed}
    free[0] = 0
    assert inbox.let_go(policy) == 1
    assert held(inbox) == {failed}
    assert old not in held(inbox)


def test_what_somebody_put_there_and_a_damaged_reason_count_as_failed(inbox):
    by_hand = inbox.folder / "quarantine" / "by-hand"
    by_hand.mkdir()
    damaged = put(inbox, "1", days=10)
    reason = inbox.folder / "quarantine" / f"{damaged}.json"
    reason.write_text("{")
    assert inbox.let_go(POLICY) == 0
    assert held(inbox) == {"by-hand", damaged}


def test_a_record_of_what_is_gone_is_kept_for_ninety_days(inbox):
    for uid, days in (("1", 89), ("2", 91)):
        put(inbox, uid, days=days)
    assert inbox.let_go(POLICY) == 2
    assert len(list((inbox.folder / "quarantine").iterdir())) == 1


@pytest.mark.parametrize(
    ("error", "unsuited"),
    [(InputError("no head"), True), (PreprocessingError("no brain"), True),
     (CapabilityError("no decoder"), False), (RuntimeError("a defect"), False)],
)  # fmt: skip
def test_only_what_a_series_is_makes_it_unsuited(run_node, kit, error, unsuited):
    def answer(folder):
        raise error

    with run_node(answer=answer) as node:
        kit.send(node, kit.objects(1))
        node.wait("quarantined")
        (reason,) = (node.inbox / "quarantine").glob("*.json")
        assert json.loads(reason.read_text())["unsuited"] is unsuited


def test_a_lost_object_does_not_make_it_unsuited(run_node, kit):
    with run_node(settle_s=0.05) as node:
        with kit.calling(node) as assoc:
            assoc.send_c_store(next(kit.objects(1)))
            assoc.abort()
        node.wait("quarantined")
        (reason,) = (node.inbox / "quarantine").glob("*.json")
        assert json.loads(reason.read_text())["unsuited"] is False


def test_the_node_sweeps_when_it_starts_and_when_its_disk_is_full(run_node, kit, monkeypatch):
    def answer(folder):
        raise InputError("no head")

    with run_node(answer=answer) as node:
        kit.send(node, kit.objects(1))
        node.wait("quarantined")
    with run_node(answer=answer, unsuited_days=0.0) as node:
        node.wait("forgotten")
        assert not node.files("quarantine")
        kit.send(node, kit.objects(1))  # it was swept a moment ago
        node.wait("quarantined")
        free = namedtuple("Usage", "free")(-1)
        monkeypatch.setattr(guard.shutil, "disk_usage", lambda path: free)
        node.wait("forgotten", 2)
        assert not node.files("quarantine")


@pytest.mark.parametrize("place", ["answered", "quarantine"])
def test_a_late_part_of_what_was_deleted_is_not_taken_for_a_whole(run_node, kit, place):
    seen = []

    def answer(folder):
        seen.append(len(list(folder.iterdir())))
        if place == "quarantine":
            raise InputError("no head")
        return kit.result(folder.name)

    sent = list(kit.objects(6))
    days = {"unsuited_days": 0.0, "keep_days": 0.0}
    with run_node(answer=answer) as node:
        kit.send(node, sent[:4])
        kit.until(lambda: node.files(place))
    with run_node(answer=answer, settle_s=0.05, **days) as node:
        node.wait("forgotten")
        kit.send(node, sent[4:])
        (line,) = node.wait("quarantined")
        reason = node.inbox / "quarantine" / f"{line['series']}.json"
        assert json.loads(reason.read_text())["reason"].startswith(
            "the series: 4 of its objects were refused for want of space, or deleted"
        )
        kit.send(node, sent)
        kit.until(lambda: len(seen) == 2)
        assert seen == [4, 6]
