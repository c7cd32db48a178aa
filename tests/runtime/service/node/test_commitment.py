"""Storage commitment: a document is safe once the peer says that it keeps it, and not before."""

from __future__ import annotations

import json
import threading
from functools import partial
from types import SimpleNamespace

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from pynetdicom import AE, build_role, evt
from pynetdicom.pdu import P_DATA_TF
from pynetdicom.sop_class import (
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
)

from runtime.service.node import commitment, outgoing
from runtime.service.node.commitment import Commitments
from runtime.service.node.outgoing import Outgoing, Sender
from runtime.service.node.peers import NotTaken, Unreached
from runtime.service.node.peers.commit import CommitmentReport

SR, SC = "1.2.840.10008.5.1.4.1.1.88.33", "1.2.840.10008.5.1.4.1.1.7"
MR = "1.2.840.10008.5.1.4.1.1.4"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(outgoing, "_FIRST_S", 0.1)
    monkeypatch.setattr(commitment, "_FIRST_S", 0.02)
    monkeypatch.setattr(commitment, "_STAY_S", 10.0)


class Archive:
    """A peer that stores and is asked to keep: `statuses` are given to requests first, `failing`
    are instances that it does not keep, by their reason; it reports in the same association, or,
    once `calls` names an address, in one of its own, or, if it is `silent`, not at all.
    """

    def __init__(self, kit):
        self.pacs = kit.pacs()
        self.pacs._ae.add_supported_context(StorageCommitmentPushModel)
        self.pacs.start()
        self.pacs._server.bind(evt.EVT_N_ACTION, self._asked)
        self.requests, self.statuses, self.failing = [], [], {}
        self.calls, self.silent, self.answers = None, False, []
        self.title = "PACS"
        self._asking = []
        self.pacs._server.bind(evt.EVT_PDU_SENT, self._answered)

    def _asked(self, event):
        status = self.statuses.pop(0) if self.statuses else 0
        request = event.action_information
        self.requests.append(request)
        if status == 0 and not self.silent:
            self._asking.append(partial(self.report, request, None if self.calls else event.assoc))
        return status, None

    def _answered(self, event):
        if self._asking and isinstance(event.pdu, P_DATA_TF):  # the request's answer is out
            threading.Thread(target=self._asking.pop()).start()

    def report(self, request, assoc=None, event_type=None):
        """CommitmentReport on a request; the status that the node answers with."""
        said, kept, failed = Dataset(), [], []
        for item in request.ReferencedSOPSequence:
            reason = self.failing.get(item.ReferencedSOPInstanceUID, self.failing.get("all"))
            if reason is not None:
                item.FailureReason = reason
            (kept if reason is None else failed).append(item)
        said.TransactionUID = request.TransactionUID
        said.ReferencedSOPSequence = kept
        if failed:
            said.FailedSOPSequence = failed
        opened = assoc is None
        if opened:
            ae = AE(self.title)
            ae.add_requested_context(StorageCommitmentPushModel)
            role = build_role(StorageCommitmentPushModel, scp_role=True)
            assoc = ae.associate("127.0.0.1", self.calls, ae_title="FMTOOL", ext_neg=[role])
            assert assoc.is_established
        status, _ = assoc.send_n_event_report(
            said,
            event_type or (2 if failed else 1),
            StorageCommitmentPushModel,
            StorageCommitmentPushModelInstance,
        )
        if opened:
            assoc.release()
        self.answers.append(status.get("Status"))
        return self.answers[-1]


@pytest.fixture
def archive(kit):
    made = Archive(kit)
    yield made
    made.pacs.stop()


def sent(node):
    """What is known of the only job that was sent."""
    (job,) = (node.inbox / "sent").iterdir()
    return json.loads(job.read_bytes())


@pytest.mark.parametrize("own", [False, True], ids=["same association", "another association"])
def test_documents_are_safe_once_the_peer_reports(run_node, kit, archive, own):
    with run_node(peer=archive.pacs.peer) as node:
        archive.calls = node.port if own else None
        kit.send(node, kit.objects(1))
        node.wait("sent")
        assert sent(node)["committed"] == ["1.dcm", "2.dcm"]
        assert not list((node.inbox / "committing").iterdir())
        assert len(node.events("commitment_offered")) == 1
    named = {i.ReferencedSOPInstanceUID for r in archive.requests for i in r.ReferencedSOPSequence}
    assert named == {ds.SOPInstanceUID for ds in archive.pacs.received}
    assert len(archive.pacs.received) == 2
    assert set(archive.answers) == {0}


def test_a_peer_that_offers_none_is_believed_and_that_is_said(run_node, kit, pacs):
    with run_node(peer=pacs.peer) as node:
        for count in (1, 2):
            kit.send(node, kit.objects(1))
            node.wait("sent", count)
        (line,) = node.events("commitment_not_offered")  # once
        assert line["why"].startswith("the peer does not accept Storage Commitment Push Model")
        for job in (node.inbox / "sent").iterdir():
            assert json.loads(job.read_bytes())["committed"] == []


def test_what_is_not_kept_is_sent_again_and_then_put_aside(run_node, kit, archive):
    archive.failing["all"] = 0x0112
    with run_node(peer=archive.pacs.peer) as node:
        kit.send(node, kit.objects(1))
        node.wait("not_all_sent")
        reasons = [
            json.loads(p.read_bytes())["reason"] for p in node.inbox.glob("refused/*/*.json")
        ]
        assert reasons == ["the peer does not keep it: 0x0112"] * 2
        assert len(node.files("refused")) == 2
    assert len(archive.pacs.received) == 2 * commitment._ROUNDS


def test_one_that_is_lost_once_is_kept_the_second_time(run_node, kit, archive):
    archive.failing["all"] = 0x0110
    stored = archive.pacs.received
    with run_node(peer=archive.pacs.peer) as node:
        kit.send(node, kit.objects(1))
        kit.until(lambda: archive.answers)
        archive.failing.clear()
        node.wait("sent")
        assert sent(node) | {"sent": ""} == {
            "sent": "",
            "committed": ["1.dcm", "2.dcm"],
            "refused": [],
        }
    assert len(stored) > len({ds.SOPInstanceUID for ds in stored}) == 2


def test_a_report_finds_what_was_asked_before_a_restart(run_node, kit, archive, monkeypatch):
    monkeypatch.setattr(commitment, "_STAY_S", 0.0)
    archive.silent = True
    with run_node(peer=archive.pacs.peer) as node:
        kit.send(node, kit.objects(1))
        node.wait("commitment_offered")
    with run_node(peer=archive.pacs.peer) as node:
        assert len(node.files("outgoing")) == 2
        archive.calls = node.port
        for request in archive.requests:
            assert archive.report(request) == 0
        node.wait("sent")
    assert len(archive.pacs.received) == 2  # nothing was sent twice


def test_only_the_peer_may_report_and_it_may_do_nothing_else(run_node, kit, archive, monkeypatch):
    monkeypatch.setattr(commitment, "_STAY_S", 0.0)
    archive.silent = True
    with run_node(peer=archive.pacs.peer) as node:
        kit.send(node, kit.objects(1))
        node.wait("commitment_offered")
        for title, syntax, may in (
            ("PACS", StorageCommitmentPushModel, True),
            ("SCANNER", StorageCommitmentPushModel, False),
            ("PACS", MR, False),
            ("SCANNER", MR, True),
            ("OTHER", StorageCommitmentPushModel, False),
        ):
            with kit.calling(node, aet=title, contexts=[(syntax, "1.2.840.10008.1.2.1")]) as assoc:
                assert bool(assoc.accepted_contexts) is may, (title, syntax)
        archive.calls = node.port
        (request,) = archive.requests
        odd = Dataset()
        odd.update(request)
        odd.TransactionUID = generate_uid(prefix=None)
        assert archive.report(odd) == 0  # nobody waits for it
        assert archive.report(request, event_type=3) == 0x0113
        del odd.TransactionUID
        odd.TransactionUID = None
        assert len(node.files("outgoing")) == 2
        assert not node.events("commitment_reported")


def test_without_a_peer_nobody_may_report(run_node, kit):
    with run_node() as node:
        context = [(StorageCommitmentPushModel, "1.2.840.10008.1.2.1")]
        with kit.calling(node, contexts=context) as assoc:
            assert not assoc.accepted_contexts


# The sender and its commitments, without a network.


class Way:
    """Ways to a peer that stores everything; `said` is what becomes of a request: an exception, or
    what it reports at once, or None for nothing.
    """

    aet = "PACS"

    def __init__(self):
        self.sent, self.asked, self.said = [], [], []

    def send(self, file):
        self.sent.append(file.name)

    def ask(self, transaction, instances, heed, stay):
        self.asked.append(transaction)
        said = self.said.pop(0) if self.said else None
        if isinstance(said, Exception):
            raise said
        if said is not None:
            kept = frozenset(uid for _, uid in instances if uid not in said)
            heed(CommitmentReport(transaction, kept, {uid: said[uid] for uid in said}))
        stay()


@pytest.fixture
def outbox(tmp_path, kit, monkeypatch):
    """`outbox()`: a sender of a job of two documents as after a start, its parts and its way."""
    monkeypatch.setattr(commitment, "_STAY_S", 0.0)
    monkeypatch.setattr(commitment, "_FIRST_S", 0.0)
    folder = tmp_path / "node"
    staged = tmp_path / "staged"
    staged.mkdir()
    for number, ds in enumerate(kit.objects(2), 1):
        ds.save_as(staged / f"{number}.dcm", enforce_file_format=True)
    Outgoing(folder).put("job", staged)
    way = Way()

    def made(wait_s=3600.0):
        out = Outgoing(folder)
        kept = Commitments(folder, out.outgoing, out.put_aside, way, wait_s)
        sender = Sender(out, {".dcm": way}, kept)
        step = partial(sender.send_due, SimpleNamespace(asked=False))
        return SimpleNamespace(out=out, kept=kept, step=step, way=way, folder=folder)

    return made


def left(folder):
    return sorted(p.name for p in (folder / "outgoing").rglob("*.dcm"))


def test_a_kill_at_any_write_loses_nothing(outbox, monkeypatch):
    """Ended after each of its writes in turn, and started again: both are kept in the end."""

    class Killed(BaseException):
        pass

    write, steps = commitment.write_bytes, iter(range(100))
    count = {"left": 0}

    def torn(path, data):
        if count["left"] == 0:
            raise Killed
        count["left"] -= 1
        write(path, data)

    monkeypatch.setattr(commitment, "write_bytes", torn)
    for number in steps:
        one = outbox()
        one.way.said, count["left"] = [{}], number
        try:
            one.step()
            break
        except Killed:
            done = list((one.folder / "sent").iterdir())
            assert done or left(one.folder) == ["1.dcm", "2.dcm"]
    assert number >= 3
    (job,) = (one.folder / "sent").iterdir()
    assert json.loads(job.read_bytes())["committed"] == ["1.dcm", "2.dcm"]
    assert not list((one.folder / "committing").iterdir())


def test_what_a_sent_job_took_goes_back_to_the_system(outbox, monkeypatch):
    given, one = [], outbox()
    monkeypatch.setattr(outgoing.heap, "give_back", lambda: given.append(left(one.folder)))
    one.way.said = [None, {}]
    one.step()
    assert given == []  # it waits for the peer's word
    again = outbox(wait_s=0.0)
    again.way.said = [{}]
    again.step()
    assert given == [[]]


def test_a_document_is_deleted_only_after_its_commitment_is_noted(outbox, monkeypatch):
    one = outbox()
    one.way.said = [{}]
    write = commitment.write_bytes

    def full(path, data):
        if json.loads(data)["kept"]:
            raise OSError(28, "no space")
        write(path, data)

    monkeypatch.setattr(commitment, "write_bytes", full)
    with pytest.raises(OSError, match="no space"):
        one.step()
    assert left(one.folder) == ["1.dcm", "2.dcm"]
    monkeypatch.setattr(commitment, "write_bytes", write)
    again = outbox(wait_s=0.0)
    again.way.said = [{}]
    again.step()
    assert left(one.folder) == []


def test_a_peer_that_reports_nothing_is_not_asked_for_ever(outbox):
    one = outbox(wait_s=0.0)
    for _ in range(commitment._ASKS + 5):
        one.step()
    assert len(one.way.asked) == commitment._ASKS
    assert one.way.sent == ["1.dcm", "2.dcm"]
    said = json.loads((one.folder / "refused" / "job" / "1.json").read_bytes())
    assert said["reason"] == "the peer was asked to keep it and never said so"
    assert left(one.folder) == []
    assert len(list((one.folder / "refused").rglob("*.dcm"))) == 2


@pytest.mark.parametrize(
    ("trouble", "refused"),
    [
        (Unreached("it rejected the association", answered=True), 0),  # it may offer nothing
        (NotTaken("the peer answered 0x0110", False, status="0x0110"), 2),  # it offers, and fails
    ],
    ids=["no association", "no success"],
)
def test_one_that_never_takes_a_request_is_not_asked_for_ever(outbox, trouble, refused):
    one = outbox()
    one.way.said = [trouble] * 1000
    for _ in range(commitment._ASKS + 5):
        one.step()
    assert len(one.way.asked) == commitment._ASKS
    assert len(list((one.folder / "refused").rglob("*.dcm"))) == refused
    assert left(one.folder) == []


def test_a_peer_that_is_away_is_waited_for(outbox):
    one = outbox()
    one.way.said = [Unreached("no connection")] * 100
    for _ in range(100):
        one.step()
    assert left(one.folder) == ["1.dcm", "2.dcm"]
    one.way.said = [{}]
    one.step()
    assert left(one.folder) == []
    assert one.way.sent == ["1.dcm", "2.dcm"]


def test_a_report_of_some_leaves_the_others(outbox):
    one = outbox()
    one.step()
    (transaction,) = one.way.asked
    uids = {name: d.instance for name, d in one.kept._jobs["job"].documents.items()}
    one.kept.heed(CommitmentReport(transaction, frozenset([uids["1.dcm"], "1.2.3"]), {}))
    assert left(one.folder) == ["2.dcm"]
    one.kept.heed(CommitmentReport(transaction, frozenset(), {uids["2.dcm"]: 0x0122}))  # never
    one.step()
    assert left(one.folder) == []
    assert [p.name for p in (one.folder / "refused").rglob("*.dcm")] == ["2.dcm"]


def test_a_torn_note_counts_for_nothing(outbox):
    one = outbox()
    one.step()
    (note,) = (one.folder / "committing").iterdir()
    note.write_bytes(note.read_bytes()[:20])
    again = outbox()
    again.way.said = [{}]
    again.step()
    assert again.way.sent == ["1.dcm", "2.dcm"] * 2
    assert left(one.folder) == []
