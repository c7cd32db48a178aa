"""Documents to peers of all kinds: each has its own fate, and the log says what a peer lacks."""

from __future__ import annotations

import json

import pytest
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    EncapsulatedPDFStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    SecondaryCaptureImageStorage,
)
from pynetdicom import evt

from runtime.service.node import outgoing
from runtime.service.node.policy import Peer

SR = "1.2.840.10008.5.1.4.1.1.88.33"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(outgoing, "_FIRST_S", 0.1)


@pytest.fixture
def peer_of(kit):
    """`peer_of(...)`: a running peer; see `Pacs`."""
    peers = []

    def make(**what):
        peers.append(kit.pacs(**what).start())
        return peers[-1]

    yield make
    for peer in peers:
        peer.stop()


def refusals(node):
    """Name of each document that was put aside, and the reason beside it."""
    reasons = (node.inbox / "refused").rglob("*.json")
    return {p.stem: json.loads(p.read_text(encoding="utf-8"))["reason"] for p in reasons}


@pytest.mark.parametrize(
    ("takes", "syntaxes", "arrives", "why"),
    [
        ([SecondaryCaptureImageStorage, EncapsulatedPDFStorage], [ExplicitVRLittleEndian],
         ["OT"], {"1": f"the peer does not accept Comprehensive SR Storage ({SR})"}),
        ([SR], [ImplicitVRLittleEndian], ["SR"],
         {"2": "the peer does not accept Secondary Capture Image Storage "
               "(1.2.840.10008.5.1.4.1.1.7)"}),
        ([EncapsulatedPDFStorage], [ExplicitVRLittleEndian], [],
         {"1": f"the peer does not accept Comprehensive SR Storage ({SR})",
          "2": "the peer does not accept Secondary Capture Image Storage "
               "(1.2.840.10008.5.1.4.1.1.7)"}),
        ([SR, SecondaryCaptureImageStorage], [DeflatedExplicitVRLittleEndian], [],
         {"1": "the peer accepts no transfer syntax of ours for Comprehensive SR Storage "
               f"({SR})",
          "2": "the peer accepts no transfer syntax of ours for Secondary Capture Image Storage "
               "(1.2.840.10008.5.1.4.1.1.7)"}),
    ],
)  # fmt: skip
def test_what_a_peer_does_not_accept_is_named_and_put_aside_and_the_rest_is_sent(
    run_node, kit, peer_of, takes, syntaxes, arrives, why
):
    peer = peer_of(takes=takes, syntaxes=syntaxes)
    with run_node(peer=peer.peer) as node:
        for count in (1, 2):  # and the next series is answered as if nothing had been
            kit.send(node, kit.objects(1))
            node.wait("not_all_sent", count)
        assert not node.files("outgoing")
        assert refusals(node) == why
        assert [e["why"] for e in node.events("document_refused")] == [*why.values()] * 2
        assert not node.events("send_failed")
    assert [ds.Modality for ds in peer.received] == arrives * 2


@pytest.mark.parametrize("status", [0xB000, 0xB006, 0xB007, 0xBFFF, 0x0001, 0x0107, 0x0116, 0x0111])
def test_a_warning_says_that_it_is_stored(run_node, kit, pacs, status):
    pacs.answers = [status]
    with run_node(peer=pacs.peer) as node:
        kit.send(node, kit.objects(1))
        node.wait("sent")
        assert not node.events("document_refused")
        assert not list((node.inbox / "refused").iterdir())
    assert len(pacs.received) == 1  # the second; the first was answered with the warning


@pytest.mark.parametrize("status", [0x0122, 0xA900, 0xA9FF, 0x0117])
def test_a_refusal_for_good_is_put_aside_at_once(run_node, kit, pacs, status):
    pacs.answers = [status]
    with run_node(peer=pacs.peer) as node:
        kit.send(node, kit.objects(1))
        (ended,) = node.wait("not_all_sent")
        assert ended["refused"] == 1
        assert refusals(node) == {"1": f"the peer answered 0x{status:04X}"}
        (line,) = node.events("document_refused")
        assert (line["status"], line["sop_class"]) == (
            f"0x{status:04X}", "Comprehensive SR Storage",
        )  # fmt: skip
    assert [ds.Modality for ds in pacs.received] == ["OT"]


@pytest.mark.parametrize("status", [0xA700, 0xA7FF, 0x0110, 0x0213, 0xC000])
def test_a_passing_failure_is_tried_again_and_holds_up_no_other(run_node, kit, pacs, status):
    pacs.answers = [status, 0, status, status]  # the second is the page's
    with run_node(peer=pacs.peer) as node:
        kit.send(node, kit.objects(1))
        node.wait("sent")
        assert len(node.events("document_refused")) == 3
        assert not list((node.inbox / "refused").iterdir())
    assert [ds.Modality for ds in pacs.received] == ["OT", "SR"]


def test_a_refusal_that_may_pass_is_not_tried_for_ever(run_node, kit, pacs, monkeypatch):
    monkeypatch.setattr(outgoing, "_TRIES", 3)
    pacs.answers = [0xC000, 0, 0xC001, 0xFE00]
    with run_node(peer=pacs.peer) as node:
        kit.send(node, kit.objects(1))
        node.wait("not_all_sent")
        assert refusals(node) == {"1": "the peer answered 0xFE00"}
    assert [ds.Modality for ds in pacs.received] == ["OT"]


def test_what_was_put_aside_is_sent_when_it_is_moved_back(run_node, kit, pacs):
    pacs.answers = [0x0122]
    with run_node(peer=pacs.peer) as node:
        kit.send(node, kit.objects(1))
        node.wait("not_all_sent")
    refused = next((node.inbox / "refused").iterdir())
    refused.rename(node.inbox / "outgoing" / refused.name)
    with run_node(peer=pacs.peer) as node:
        node.wait("sent")
        assert not list((node.inbox / "outgoing").iterdir())
    assert sorted(ds.Modality for ds in pacs.received) == ["OT", "SR"]


def test_a_peer_that_ends_the_connection_at_one_document_gets_the_others(run_node, kit, pacs):
    def abort(event):
        event.assoc.abort()
        return 0

    pacs.answers = [abort]
    with run_node(peer=pacs.peer) as node:
        kit.send(node, kit.objects(1))
        node.wait("sent")
        assert len(node.events("send_failed")) == 1
    assert [ds.Modality for ds in pacs.received] == ["OT", "SR"]


def test_a_peer_that_refuses_associations_for_reports_gets_the_pages(run_node, kit, peer_of):
    peer, asked = peer_of(), []

    def refuse(event):
        asked.append(event.assoc.requestor.requested_contexts[0].abstract_syntax)
        if asked[-1] == SR:
            event.assoc.abort()

    peer._server.bind(evt.EVT_REQUESTED, refuse)
    with run_node(peer=peer.peer) as node:
        kit.send(node, kit.objects(1))
        node.wait("peer_unreachable", 2)
        kit.until(lambda: peer.received)
        assert [file.name for file in node.files("outgoing")] == ["1.dcm"]
    assert [ds.Modality for ds in peer.received] == ["OT"]


def test_the_log_says_why_there_is_no_association(run_node, kit, pacs):
    with run_node(peer=Peer("OTHER", "127.0.0.1", pacs.port)) as node:
        kit.send(node, kit.objects(1))
        (line, *_) = node.wait("peer_unreachable")
        assert line["why"] == "it rejected the association: Called AE title not recognised"
        pacs.stop()
        node.wait("peer_unreachable", 4)
        assert node.events("peer_unreachable")[-1]["why"] == "no connection"


def test_a_document_that_is_damaged_or_unreadable_holds_up_no_other(run_node, kit, pacs):
    pacs.stop()
    with run_node(peer=pacs.peer) as node:
        kit.send(node, kit.objects(1))
        node.wait("peer_unreachable", 2)
        report, _ = node.files("outgoing")
        report.write_bytes(b"no document")
        pacs.start()
        node.wait("not_all_sent")
        assert refusals(node) == {"1": "it is damaged"}
    assert [ds.Modality for ds in pacs.received] == ["OT"]
