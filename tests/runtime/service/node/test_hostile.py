"""Whoever is slow, claims too much, or does not speak TLS: refused in bounded time, service up."""

from __future__ import annotations

import socket
import ssl
import struct
import time
from contextlib import suppress

import pytest

pytest.importorskip("pynetdicom", reason="needs fmtool[dicom]")

from pynetdicom.pdu_items import (
    AbstractSyntaxSubItem,
    PresentationContextItemRQ,
    TransferSyntaxSubItem,
)

from fmtool.errors import InputError, UsageError
from runtime.service import tls
from runtime.service.ending import Ending
from runtime.service.node import service
from runtime.service.node.metered import EACH, BeyondLimit, Budget, ConnectionMeter
from runtime.service.node.policy import Policy
from runtime.service.node.server import NodeSettings

_FAST = {"settle_s": 60.0, "acse_s": 0.6, "pdu_s": 0.6, "network_s": 1.0}


def _gone(sock, seconds):
    """Whether the node closes a connection within so many seconds; what it said before."""
    sock.settimeout(seconds)
    said = b""
    try:
        while part := sock.recv(4096):
            said += part
    except TimeoutError:
        return False, said
    except OSError:
        pass
    return True, said


@pytest.mark.parametrize(
    "start",
    [
        b"",  # says nothing
        b"\x01\x00",  # stops within the head of a PDU
        b"\x01\x00\x00\x00\x01\x00" + bytes(10),  # stops within its body
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x01\x00\x7f\xff\xff\xff" + bytes(2000),  # claims 2 GiB
        b"\x04\x00\xff\xff\xff\xff" + bytes(300),  # claims 4 GiB, and that it is data
    ],
)
def test_half_an_association_is_closed_soon(run_node, kit, start):
    with run_node(**_FAST) as node:
        with socket.create_connection(("127.0.0.1", node.port)) as sock:
            sock.sendall(start)
            closed, _ = _gone(sock, 30.0)
            assert closed
        assert kit.send(node, kit.objects(1)) == [0]


def test_a_drip_that_is_never_quite_silent_is_closed_too(run_node):
    with (
        run_node(**_FAST) as node,
        socket.create_connection(("127.0.0.1", node.port)) as sock,
    ):
        start = time.monotonic()
        sock.sendall(struct.pack(">BBL", 1, 0, 200))
        with suppress(OSError):  # the node's end of the connection is gone
            while time.monotonic() - start < 10:
                sock.sendall(b"\0")
                time.sleep(0.05)
        assert time.monotonic() - start < 5


def test_a_silent_association_is_aborted(run_node, kit):
    with run_node(**_FAST) as node, kit.calling(node) as assoc:
        kit.until(lambda: not assoc.is_established, 6.0)


def test_a_drip_within_an_association_ends_it(run_node, kit):
    with run_node(**_FAST) as node, kit.calling(node) as assoc:
        wire = assoc.dul.socket.socket
        wire.sendall(struct.pack(">BBL", 4, 0, 5000))
        for _ in range(20):
            try:
                wire.sendall(b"\0")
            except OSError:
                break
            time.sleep(0.1)
        kit.until(lambda: not assoc.is_established, 6.0)
        assert node.wait("connection_ended")[0]["why"] == "a PDU took too long"


@pytest.mark.parametrize(
    "command",
    [
        b"",  # no element at all
        struct.pack("<HHLH", 0, 0x0100, 2, 0x7777) + struct.pack("<HHLH", 0, 0x0800, 2, 0x0101),
        struct.pack("<HHLH", 0, 0x0100, 2, 0x0001),  # a C-STORE that does not say if data follow
        b"\0\0\0\1\xff\xff\xff\xff",
    ],
)
def test_a_message_that_cannot_be_decoded_ends_its_association_alone(run_node, kit, command):
    with run_node(max_associations=1, settle_s=60.0) as node:
        with kit.calling(node) as assoc:
            value = struct.pack(">LBB", 2 + len(command), 1, 3) + command
            assoc.dul.socket.socket.sendall(struct.pack(">BBL", 4, 0, len(value)) + value)
            kit.until(lambda: assoc.is_aborted, 6.0)
        assert node.wait("connection_ended")[0]["why"] == "a message cannot be decoded"
        kit.until(lambda: not node.node._listener.active_associations)
        assert kit.send(node, kit.objects(1)) == [0]


@pytest.mark.parametrize("kept", [TransferSyntaxSubItem, AbstractSyntaxSubItem])
def test_an_association_that_cannot_be_negotiated_is_aborted(run_node, kit, monkeypatch, kept):
    whole = PresentationContextItemRQ.from_primitive

    def incomplete(item, primitive):
        whole(item, primitive)
        items = item.abstract_transfer_syntax_sub_items
        items[:] = [each for each in items if isinstance(each, kept)]
        for each in items:
            if kept is AbstractSyntaxSubItem:
                each.abstract_syntax_name = "1.2.3"  # one that the node does not take

    with run_node(**_FAST) as node:
        with monkeypatch.context() as patch:
            patch.setattr(PresentationContextItemRQ, "from_primitive", incomplete)
            with kit.calling(node) as assoc:
                assert not assoc.is_established
                kit.until(lambda: assoc.is_aborted)
        (ended,) = node.wait("connection_ended")
        assert ended["why"] == "an association cannot be negotiated"
        assert kit.send(node, kit.objects(1)) == [0]


def test_a_request_with_a_value_that_it_must_not_have_is_aborted(run_node, kit, monkeypatch):
    whole = PresentationContextItemRQ.from_primitive

    def even(item, primitive):
        whole(item, primitive)
        item.presentation_context_id = 2  # PS3.8, 9.3.2.2: an odd number

    with run_node(**{**_FAST, "acse_s": 30.0}) as node:
        with monkeypatch.context() as patch:
            patch.setattr(PresentationContextItemRQ, "from_primitive", even)
            start = time.monotonic()
            with kit.calling(node) as assoc:
                assert not assoc.is_established
                kit.until(lambda: assoc.is_aborted)
            assert time.monotonic() - start < 10
        (ended,) = node.wait("connection_ended")
        assert ended["why"] == "a PDU has a value that it must not have"
        assert kit.send(node, kit.objects(1)) == [0]


def test_silent_connections_give_way_to_who_speaks(run_node, kit):
    with run_node(max_associations=2, **_FAST) as node:
        many = [socket.create_connection(("127.0.0.1", node.port)) for _ in range(8)]
        assert kit.send(node, kit.objects(1)) == [0]
        ended = node.wait("connection_ended")[0]
        assert (ended["why"], ended["peer"]) == ("silent, and others came", "127.0.0.1")
        for sock in many:
            assert _gone(sock, 30.0)[0]
            sock.close()
        assert not node.node._listener.active_associations


def test_one_association_too_many_is_refused_for_now(run_node, kit):
    with (
        run_node(max_associations=1, **{**_FAST, "network_s": 20.0}) as node,
        kit.calling(node) as one,
    ):
        assert one.is_established
        with kit.calling(node) as two:
            assert two.is_rejected
            assert two.acceptor.primitive.result == 2  # transient


def test_a_meter_counts_over_all_connections():
    policy = Policy(allow=("A",), max_object_bytes=1000)
    budget = Budget(1500 + EACH)  # a message that has arrived takes more than its bytes
    pdu = struct.pack(">BBL", 4, 0, 494) + bytes(494)
    one, two = (ConnectionMeter(policy, budget, lambda why: None) for _ in range(2))
    one.read(pdu[:3])
    one.read(pdu[3:100])
    one.read(pdu[100:])
    one.arrived()
    one.read(pdu)
    two.read(pdu)
    assert (one.held, two.held) == (1000, 500)
    with pytest.raises(BeyondLimit, match="at once"):
        two.read(pdu)
    one.handled()
    assert one.held == 500
    one.closed()
    with pytest.raises(BeyondLimit, match="too large"):
        two.read(pdu)


def _files(folder, name, ca="ca"):
    return tls.TlsFiles(folder / f"{name}.pem", folder / f"{name}.key", folder / f"{ca}.pem")


def _as_client(folder, name):
    return (tls.client_context(_files(folder, name)), "127.0.0.1")


def test_tls_takes_clients_of_the_authority_only(run_node, kit, certificates):
    server = _files(certificates, "node")
    with run_node(tls=server, **_FAST) as node:
        client = _as_client(certificates, "client")
        assert kit.send(node, kit.objects(2), tls_args=client) == [0, 0]
        with kit.calling(node, tls_args=_as_client(certificates, "stranger")) as assoc:
            assert not assoc.is_established
        with kit.calling(node) as assoc:  # no TLS
            assert not assoc.is_established
        kit.until(lambda: {"no TLS"} == {e["why"] for e in node.events("connection_refused")})


def test_an_unfinished_handshake_holds_up_nobody(run_node, kit, certificates):
    server = _files(certificates, "node")
    with (
        run_node(tls=server, **{**_FAST, "acse_s": 3.0}) as node,
        socket.create_connection(("127.0.0.1", node.port)) as silent,
    ):
        start = time.monotonic()
        assert kit.send(node, kit.objects(1), tls_args=_as_client(certificates, "client")) == [0]
        assert time.monotonic() - start < 2.5
        assert _gone(silent, 30.0)[0]


def test_tls_that_cannot_be_is_said(tmp_path, certificates):
    cert, key = certificates / "node.pem", certificates / "node.key"
    with pytest.raises(UsageError, match="required"):
        tls.files(cert, key, None, required=True)
    with pytest.raises(UsageError, match="both"):
        tls.files(cert, None, None)
    assert tls.files(None, None, None) is None
    with pytest.raises(InputError, match="belong together"):
        tls.server_context(tls.TlsFiles(cert, certificates / "client.key"))
    with pytest.raises(InputError, match="absent"):
        tls.server_context(tls.TlsFiles(tmp_path / "absent.pem", key))


def test_a_pdu_that_claims_too_much_is_refused_at_its_head():
    meter = ConnectionMeter(Policy(allow=("A",)), Budget(1 << 30), lambda why: None)
    with pytest.raises(BeyondLimit, match="PDU is too large"):
        meter.read(struct.pack(">BBL", 1, 0, 2**31 - 1))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "scanner.example"])
def test_other_machines_need_a_certificate_or_a_word(tmp_path, certificates, host, monkeypatch):
    policy = Policy(allow=("A",))
    half = tls.TlsFiles(certificates / "node.pem", certificates / "node.key")
    for files in (None, half):
        settings = NodeSettings(policy, tmp_path / "inbox", host=host, tls=files)
        with pytest.raises(UsageError, match="--any-client"):
            service.serve(settings, None, Ending())
    assert not (tmp_path / "inbox").exists()

    def reached(settings, ending):
        raise InputError("it goes on")

    monkeypatch.setattr(service, "DicomNode", reached)
    for settings in (
        NodeSettings(policy, tmp_path / "inbox", host=host, any_client=True),
        NodeSettings(policy, tmp_path / "inbox", host=host, tls=_files(certificates, "node")),
        NodeSettings(policy, tmp_path / "inbox", host="127.0.0.1"),
    ):
        with pytest.raises(InputError, match="goes on"):
            service.serve(settings, None, Ending())


def test_a_peer_is_checked_against_the_authority_named_and_no_other(certificates):
    context = tls.client_context(_files(certificates, "client"))
    assert [dict(x[0] for x in ca["subject"])["commonName"] for ca in context.get_ca_certs()] == [
        "ca"
    ]
    assert context.check_hostname
    assert context.verify_mode == ssl.CERT_REQUIRED
    server = tls.server_context(_files(certificates, "node"))
    assert len(server.get_ca_certs()) == 1


def test_a_key_that_others_can_read_is_refused(certificates, tmp_path):
    key = tmp_path / "node.key"
    key.write_bytes((certificates / "node.key").read_bytes())
    for mode in (0o640, 0o604, 0o644):
        key.chmod(mode)
        with pytest.raises(InputError, match="open to others"):
            tls.server_context(tls.TlsFiles(certificates / "node.pem", key))
    key.chmod(0o600)
    tls.server_context(tls.TlsFiles(certificates / "node.pem", key))
