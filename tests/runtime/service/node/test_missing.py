"""A series that lost objects stays open until they come, and is never answered as complete."""

from __future__ import annotations

import io
import json
import shutil
import threading
import time
from collections import namedtuple

import pytest

pytest.importorskip("pynetdicom", reason="needs fmtool[dicom]")

from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dsutils import encode

from runtime.service import guard
from runtime.service.node.front import NodeFront
from runtime.service.node.outgoing import Outgoing
from runtime.service.node.policy import Policy
from runtime.service.node.storage import Inbox, Names

# A sender that stays connected is waited for four times as long, and a busy machine may pause one.
LONG = {"settle_s": 2.0}
SETTLED_S = 3.0  # to wait where nothing may happen


@pytest.fixture
def answered():
    return []


@pytest.fixture
def answer(kit, answered):
    def answer(folder):
        answered.append(len(list(folder.iterdir())))
        return kit.result(folder.name)

    return answer


def aborted(node, kit, objects):
    """Send, and abort instead of releasing."""
    with kit.calling(node) as assoc:
        for ds in objects:
            assert assoc.send_c_store(ds).Status == 0
        assoc.abort()
    node.wait("association_aborted")


def reason(node):
    (line,) = node.wait("quarantined")
    return json.loads((node.inbox / "quarantine" / f"{line['series']}.json").read_text())["reason"]


@pytest.mark.parametrize(
    "resent", [pytest.param(slice(None), marks=pytest.mark.slow), slice(7, None)]
)
def test_an_aborted_association_is_waited_for_and_then_answered_whole(
    run_node, kit, answer, answered, resent
):
    sent = list(kit.objects(10))
    with run_node(answer=answer, **LONG) as node:
        aborted(node, kit, sent[:7])
        time.sleep(SETTLED_S)
        assert answered == []
        kit.send(node, sent[resent])
        node.wait("answered")
        assert answered == [10]
        assert not list((node.inbox / "missing").iterdir())


def test_what_does_not_come_is_put_aside_with_the_reason_and_answered_if_it_comes(
    run_node, kit, answer, answered
):
    sent = list(kit.objects(5))
    with run_node(answer=answer, settle_s=0.05) as node:
        aborted(node, kit, sent[:4])
        assert "was aborted" in reason(node)
        assert answered == []
        assert len(node.files("quarantine")) == 4
        kit.send(node, sent[4:])
        node.wait("answered")
        assert answered == [5]
        assert not node.files("quarantine")


def test_what_was_put_aside_and_is_sent_again_whole_is_answered_though_nothing_is_new(
    run_node, kit, answer, answered
):
    sent = list(kit.objects(5))
    with run_node(answer=answer, settle_s=0.05) as node:
        aborted(node, kit, sent)
        reason(node)
        kit.send(node, sent)
        node.wait("answered")
        assert answered == [5]


def test_what_was_put_aside_and_is_moved_back_is_answered_as_it_is(run_node, kit, answer, answered):
    with run_node(answer=answer, settle_s=0.05) as node:
        aborted(node, kit, list(kit.objects(5))[:4])
        reason(node)
        (series,) = (p for p in (node.inbox / "quarantine").iterdir() if p.is_dir())
        series.rename(node.inbox / "receiving" / series.name)
        node.wait("answered")
        assert answered == [4]


@pytest.mark.parametrize("moved", [True, False])
def test_a_node_that_is_stopped_remembers_what_was_cut_off(run_node, kit, answer, answered, moved):
    sent = list(kit.objects(5))
    with run_node(answer=answer, settle_s=60.0) as node, kit.calling(node) as assoc:
        for ds in sent[:3]:
            assoc.send_c_store(ds)
        node.node.stop()
    with run_node(answer=answer, settle_s=0.05) as node:
        assert "was aborted" in reason(node)
        assert answered == []
        (series,) = (p for p in (node.inbox / "quarantine").iterdir() if p.is_dir())
        inbox = node.inbox
    if moved:  # while no node runs
        series.rename(inbox / "receiving" / series.name)
    with run_node(answer=answer, settle_s=0.05) as node:
        if not moved:
            kit.send(node, sent[3:])
        node.wait("answered")
        assert answered == [3 if moved else 5]


def full(monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(guard.shutil, "disk_usage", lambda _: usage(10, 10, 0))


@pytest.mark.parametrize("first", [pytest.param(0, marks=pytest.mark.slow), 7])
def test_objects_refused_for_want_of_space_are_waited_for(
    run_node, kit, answer, answered, monkeypatch, first
):
    sent = list(kit.objects(10))
    with run_node(answer=answer, **LONG) as node:
        kit.send(node, sent[:first])
        with monkeypatch.context() as patch:
            full(patch)
            assert kit.send(node, sent[first:9]) == [0xA700] * (9 - first)
        kit.send(node, sent[9:])
        time.sleep(SETTLED_S)
        assert answered == []
        kit.send(node, sent[first:8])
        time.sleep(SETTLED_S)
        assert answered == []  # one is still not there
        kit.send(node, sent)
        node.wait("answered")
        assert answered == [10]


def test_objects_refused_and_never_sent_again_put_their_series_aside(
    run_node, kit, answer, answered, monkeypatch
):
    sent = list(kit.objects(5))
    with run_node(answer=answer, settle_s=0.5) as node:  # put aside after 10 s
        with kit.calling(node) as assoc:
            assert [assoc.send_c_store(ds).Status for ds in sent[:2]] == [0, 0]
            with monkeypatch.context() as patch:
                full(patch)
                assert [assoc.send_c_store(ds).Status for ds in sent] == [0, 0] + [0xA700] * 3
        assert "3 of its objects were refused for want of space" in reason(node)
        assert answered == []
        kit.send(node, sent[2:])
        node.wait("answered")
        assert answered == [5]


def test_two_associations_at_once_of_which_one_is_aborted(run_node, kit, answer, answered):
    sent = list(kit.objects(6))
    with run_node(answer=answer, **LONG) as node:
        with kit.calling(node) as one, kit.calling(node) as other:
            for ds in sent[:3]:
                one.send_c_store(ds)
            other.send_c_store(sent[3])
            one.abort()
            node.wait("association_aborted")
            other.send_c_store(sent[4])
        time.sleep(SETTLED_S)
        assert answered == []  # the other sent its own, not what the first one lost
        kit.send(node, sent)
        node.wait("answered")
        assert answered == [6]


def test_an_abort_holds_up_no_other_series(run_node, kit, answer, answered):
    with run_node(answer=answer, **LONG) as node:
        aborted(node, kit, kit.objects(3))
        kit.send(node, kit.objects(2))
        node.wait("answered")
        assert answered == [2]


def test_an_association_that_this_side_ends_leaves_its_series_open(run_node, kit):
    with run_node(max_association_bytes=20_000, **LONG) as node:
        with kit.calling(node) as assoc:
            for ds in kit.objects(200):
                if not assoc.is_established or not assoc.send_c_store(ds):
                    break
        node.wait("connection_ended")
        time.sleep(SETTLED_S)
        assert node.files("receiving")
        assert not node.events("series_complete")


class Dying(threading.Thread):
    """A sender that is aborted as soon as it was seen alive `seen` more times."""

    def __init__(self, seen=10**9):
        super().__init__()
        self.seen = seen

    def is_alive(self):
        self.seen -= 1
        return self.seen >= 0


@pytest.fixture
def inbox(tmp_path):
    made = Inbox(tmp_path / "inbox", 0)
    yield made
    made.close()


@pytest.mark.parametrize("seen", range(3))
def test_a_sender_that_is_cut_off_while_it_is_looked_at(inbox, seen):
    sender = Dying()
    inbox.store(Names("a" * 32, "b" * 32), [b"x"], 1, sender)
    sender.seen = seen
    inbox._arrivals["a" * 32] = time.monotonic() - 200.0
    assert inbox.settled(100.0).get("a" * 32) != ""  # as if it were whole
    assert "was aborted" in inbox.settled(5.0)["a" * 32]


def test_a_sender_that_is_cut_off_before_its_series_is_taken(inbox, tmp_path):
    sender = Dying()
    inbox.store(Names("a" * 32, "b" * 32), [b"x"], 1, sender)
    front = NodeFront(inbox, Outgoing(tmp_path), Policy(allow=("A",), settle_s=0.0), None)
    (work,) = front.ready()
    assert work.refused == ""  # it was quiet for long
    sender.seen = 0
    front.begin(work)
    assert not front.unchanged(work)


# A crash: what is on the disk is read by the next process.

SERIES = "a" * 32


@pytest.fixture
def crashed(tmp_path):
    """`crashed(folder)`: why each series is not whole, for a process after a kill now."""
    made = []

    def crashed(folder):
        made.append(tmp_path / f"after{len(made)}")
        shutil.copytree(folder, made[-1])
        after = Inbox(made[-1], 0)
        try:
            return after.settled(0.0)
        finally:
            after.close()

    return crashed


def put(inbox, number, sender):
    """Store an object; whether it is new."""
    return inbox.store(Names(SERIES, f"{number:032x}"), [b"x"], 1, sender)


def test_what_was_released_is_whole_after_a_crash_and_what_was_not_is_cut(inbox, crashed):
    sender = Dying()
    put(inbox, 1, sender)
    assert "was aborted" in crashed(inbox.folder)[SERIES]
    inbox.released(sender)
    assert crashed(inbox.folder) == {SERIES: ""}
    put(inbox, 2, Dying())  # one more comes
    assert "was aborted" in crashed(inbox.folder)[SERIES]


@pytest.mark.parametrize("objects", [(1, 2), (1, 1)])  # the other's own, and what was there
def test_of_two_associations_both_must_have_released_before_a_crash(inbox, crashed, objects):
    senders = [Dying(), Dying()]
    for number, sender in zip(objects, senders, strict=True):
        put(inbox, number, sender)
    inbox.released(senders[1])
    assert "was aborted" in crashed(inbox.folder)[SERIES]
    inbox.released(senders[0])
    assert crashed(inbox.folder) == {SERIES: ""}


@pytest.mark.parametrize("first", [True, False])
def test_an_abort_is_remembered_whoever_releases_at_that_time(inbox, crashed, first):
    aborted, other = Dying(), Dying()
    put(inbox, 1, aborted)
    put(inbox, 2, other)
    if first:
        aborted.seen = 0
        inbox.released(other)
    else:
        inbox.released(other)
        aborted.seen = 0
    assert "was aborted" in crashed(inbox.folder)[SERIES]
    again = Dying()  # it sends all of it once more
    assert not put(inbox, 1, again)
    inbox.released(again)
    assert crashed(inbox.folder) == {SERIES: ""}


def test_what_a_crash_cut_off_is_whole_once_it_is_sent_again_and_stays_so(inbox, crashed):
    put(inbox, 1, Dying())
    inbox.close()
    second, sender = Inbox(inbox.folder, 0), Dying()
    put(second, 1, sender)
    assert "was aborted" in crashed(second.folder)[SERIES]
    second.released(sender)
    assert crashed(second.folder) == second.settled(0.0) == {SERIES: ""}
    second.take(SERIES)
    assert not list((second.folder / "missing").iterdir())
    second.close()


def test_a_release_does_not_make_up_for_what_was_refused(inbox, crashed, monkeypatch):
    sender = Dying()
    put(inbox, 1, sender)
    with monkeypatch.context() as patch:
        full(patch)
        with pytest.raises(guard.NoSpace):
            put(inbox, 2, sender)
    inbox.released(sender)
    assert "1 of its objects were refused" in crashed(inbox.folder)[SERIES]


def test_an_object_that_could_not_be_noted_is_waited_for(inbox, monkeypatch):
    sender = Dying()
    put(inbox, 1, sender)
    inbox.released(sender)
    with monkeypatch.context() as patch:
        patch.setattr("runtime.service.node.missing.posix.sync", _fails)
        with pytest.raises(OSError, match="no more"):
            put(inbox, 2, sender)
    assert "1 of its objects were refused" in inbox.settled(0.0)[SERIES]
    put(inbox, 2, sender)
    inbox.released(sender)
    assert inbox.settled(0.0) == {SERIES: ""}


def _fails(folder):
    raise OSError("no more")


def test_a_release_is_on_the_disk_once_it_is_acknowledged(run_node, kit, crashed):
    with run_node(settle_s=60.0) as node, kit.calling(node) as assoc:
        for ds in kit.objects(2):
            assert assoc.send_c_store(ds).Status == 0
        (cut,) = crashed(node.inbox).values()
        assert "was aborted" in cut
        assoc.release()
        assert list(crashed(node.inbox).values()) == [""]


def test_what_was_not_served_before_a_release_is_lost(run_node, kit, crashed, monkeypatch):
    """A peer that waits for no answers."""
    with run_node(settle_s=60.0) as node:
        store = node.node.inbox.store

        def slow(name, parts, size, sender):
            kit.until(lambda: sender.dul.to_user_queue.qsize())  # the release is there
            return store(name, parts, size, sender)

        monkeypatch.setattr(node.node.inbox, "store", slow)
        with kit.calling(node) as assoc:
            for number, ds in enumerate(kit.objects(3)):
                request = C_STORE()
                request.MessageID = number + 1
                request.AffectedSOPClassUID = ds.SOPClassUID
                request.AffectedSOPInstanceUID = ds.SOPInstanceUID
                request.DataSet = io.BytesIO(encode(ds, False, True))
                assoc.dimse.send_msg(request, assoc.accepted_contexts[-1].context_id)
            assoc.release()
            (cut,) = crashed(node.inbox).values()
        assert "was aborted" in cut
        kit.until(lambda: list(node.node.inbox.settled(0.0).values()) == [cut])
