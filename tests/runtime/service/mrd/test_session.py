"""A connection is never held: whatever happens, originals and one CLOSE; the next is taken."""

from __future__ import annotations

import socket
import struct
import threading
import time

import numpy as np
import pytest

from fmtool.errors import FmtoolError, InputError, UsageError
from runtime.service.answer import Fate, Outcome
from runtime.service.ending import Ending
from runtime.service.mrd import service, wire
from runtime.service.mrd.rehearsal import client, scanner
from runtime.service.mrd.wire import CLOSE, Tag, text_message


def said(found, word):
    return any(word in text for text in found.texts)


def heard(wire_socket):
    """What a server says until it closes."""
    found = []
    with wire_socket.makefile("rb") as stream:
        while (message := wire.read(stream.read)) is not None:
            found.append(message)
    return found


def originals(found, sent):
    """Whether what was sent came back: voxels and header as they were."""
    images = [m for m in sent if m.kind == Tag.IMAGE]
    if len(found.images) < len(images):
        return False
    pairs = zip(map(wire.image, images), map(wire.image, found.images), strict=False)
    ignored = "attribute_string_len"
    return all(
        np.array_equal(a.data, b.data)
        and all(np.array_equal(a.head[n], b.head[n]) for n in a.head.dtype.names if n != ignored)
        and b"<name>Keep_image_geometry</name><value>1</value>" in b.attributes
        for a, b in pairs
    )


def refused(order, stop):
    return Outcome(Fate.refused, "InputError", "the scan is no head")


def crashed(order, stop):
    return Outcome(Fate.broken, "Crash", "the scan ended the process that read it")


def test_originals_come_back_first_and_then_the_answer(serving, sent):
    with serving() as address:
        found = client.converse(address, sent)
    assert originals(found, sent)
    assert found.closes == 1
    assert found.texts[-1] == "18 images answered"


@pytest.mark.parametrize("after", ["originals: false", "nothing"])
def test_a_refused_scan_goes_back_with_the_reason(serving, sent, mrd_worker, after):
    mrd_worker.first = refused
    if after == "originals: false":
        sent.insert(2, text_message('{"parameters": {"originals": "false"}}'))
    with serving() as address:
        for _ in range(2):  # and whoever sends it again is told again
            found = client.converse(address, sent)
            assert originals(found, sent)
            assert said(found, "the scan is no head")
            assert found.closes == 1
    assert len(mrd_worker.orders) == 2


def test_without_originals_the_answer_comes_alone(serving, sent):
    sent.insert(2, text_message('{"parameters": {"originals": "false"}}'))
    with serving() as address:
        found = client.converse(address, sent)
    assert found.images == []
    assert found.texts[-1] == "18 images answered"


def test_what_crashes_is_tried_again_and_then_goes_back(serving, sent, mrd_worker):
    mrd_worker.first = crashed
    with serving() as address:
        found = client.converse(address, sent)
        assert originals(found, sent)
        assert said(found, "ended the process")
        mrd_worker.first = lambda order, stop: None
        assert said(client.converse(address, sent), "answered")
    assert len(mrd_worker.orders) == 4


def test_a_server_that_cannot_compute_says_so_at_once(serving, sent, mrd_worker):
    def ensure():
        raise FmtoolError("the engine does not reproduce the self-test")

    mrd_worker.ensure = ensure
    with serving(budget_s=60.0) as address:
        found = client.converse(address, sent)
    assert originals(found, sent)
    assert said(found, "cannot compute just now (FmtoolError)")
    assert found.closes == 1


def test_a_full_disk_is_said(serving, sent):
    with serving(min_free_bytes=1 << 60) as address:
        found = client.converse(address, sent)
    assert originals(found, sent)
    assert said(found, "disk is full")
    assert found.closes == 1


def test_after_its_budget_a_scan_goes_back_and_the_next_is_answered(serving, sent, mrd_worker):
    late = threading.Event()
    mrd_worker.first = lambda order, stop: late.wait(30.0) and None
    with serving(budget_s=0.3) as address:
        found = client.converse(address, sent)
        assert originals(found, sent)
        assert said(found, "not answered within 0.3 s")
        assert found.closes == 1
        late.set()
        assert said(client.converse(address, sent), "answered")


def test_one_computes_and_the_second_is_told(serving, sent, mrd_worker):
    begun, go_on = threading.Event(), threading.Event()

    def first(order, stop):
        begun.set()
        go_on.wait(30.0)

    mrd_worker.first = first
    found = []
    with serving() as address:
        one = threading.Thread(target=lambda: found.append(client.converse(address, sent)))
        one.start()
        assert begun.wait(30.0)
        with socket.create_connection(address) as second:
            with second.makefile("rb", buffering=0) as stream:
                texts = [wire.text_of(wire.read(stream.read)) for _ in range(2)]
            assert b"another scan is being computed" in texts[1]
            go_on.set()
            for message in sent:
                second.sendall(message.wire)
            kinds = [message.kind for message in heard(second)]
        one.join(30.0)
    assert kinds.count(Tag.CLOSE) == 1
    assert said(found[0], "answered")


def test_more_clients_than_are_served_are_told_and_closed(serving, sent):
    with serving(connections=1) as address, socket.create_connection(address) as first:
        assert wire.read(first.makefile("rb").read)  # it is served
        found = client.converse(address, [])
        assert said(found, "1 clients are served already")
        assert found.closes == 1


def test_a_client_that_says_nothing_holds_no_place_for_long(serving):
    with serving(connections=1, silent_s=0.3) as address:
        with socket.create_connection(address) as silent:
            silent.settimeout(10)
            while silent.recv(4096):
                pass
        end = time.monotonic() + 10
        while said(client.converse(address, []), "served already"):
            assert time.monotonic() < end


@pytest.mark.parametrize("count", [1, 10])
@pytest.mark.parametrize("end", ["close", "stream", "cut"])
def test_a_client_may_stop_anywhere(serving, sent, count, end):
    part = [*sent[:count], *[CLOSE] * (end == "close")]
    with serving() as address:
        with socket.create_connection(address) as wire_socket:
            for message in part:
                wire_socket.sendall(message.wire)
            if end == "cut":
                wire_socket.sendall(sent[2].wire[:500])
            wire_socket.shutdown(socket.SHUT_WR)
            found = heard(wire_socket)
        kinds = [message.kind for message in found]
        texts = [wire.text_of(message) for message in found if message.kind == Tag.TEXT]
        images = max(0, count - 2)
        assert kinds.count(Tag.IMAGE) == images
        assert kinds.count(Tag.CLOSE) == 1
        if end == "cut":
            assert b"ended inside a message" in texts[-1]
        elif not images:
            assert b"no image came" in texts[-1]
        assert said(client.converse(address, sent), "answered")


@pytest.mark.parametrize(
    "bytes_sent",
    [
        struct.pack("<H", 1008) + bytes(5000),
        struct.pack("<HI", 5, 2**31),
        b"GET / HTTP/1.1\r\n\r\n",
        struct.pack("<H", 1022) + b"\xff" * 206,
    ],
    ids=["raw", "long text", "http", "ones"],
)
def test_what_is_not_taken_is_a_sentence_after_what_was(serving, sent, bytes_sent):
    strange = wire.MrdMessage(int.from_bytes(bytes_sent[:2], "little"), bytes_sent[2:])
    with serving() as address:
        found = client.converse(address, [*sent[:8], strange, *sent[8:]])
        assert len(found.images) == 6
        assert found.texts[-1].startswith("WRN fmtool: ")
        assert found.closes == 1
        assert said(client.converse(address, sent), "answered")


def test_a_client_that_leaves_at_once_is_no_harm(serving, sent):
    linger = struct.pack("ii", 1, 0)
    with serving() as address:
        for number in range(20):
            wire_socket = socket.create_connection(address)
            wire_socket.sendall(sent[2].wire[: 40 * number])
            wire_socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            wire_socket.close()  # a reset
        assert said(client.converse(address, sent), "answered")


def test_a_client_that_says_nothing_more_is_given_up(serving, sent):
    with serving(stall_s=0.2) as address, socket.create_connection(address) as wire_socket:
        wire_socket.sendall(sent[0].wire + sent[2].wire[:700])
        found = heard(wire_socket)
    assert b"sent nothing" in wire.text_of(found[-2])
    assert found[-1] == CLOSE


def test_a_client_that_sends_for_ever_without_reading_is_answered(serving, sent, monkeypatch):
    monkeypatch.setattr(wire, "MAX_SESSION_BYTES", 40_000)
    with serving() as address:
        found = client.converse(address, sent * 20)
        assert said(found, "sent more than")
        assert found.closes == 1
        assert 0 < len(found.images) < 30


def test_all_connections_together_hold_no_more_than_is_allowed(serving, sent):
    with serving(held_bytes=30_000) as address:
        found = client.converse(address, sent)
        assert said(found, "holds too much already")
        assert found.closes == 1
        few = client.converse(address, [*sent[:5], CLOSE])  # and what was held is given back
        assert len(few.images) == 3


def test_an_end_that_is_asked_for_gives_back_what_came(serving, sent):
    found = []
    with serving() as address:
        wire_socket = socket.create_connection(address)
        with wire_socket.makefile("rb", buffering=0) as stream:
            assert wire.read(stream.read)
        wire_socket.sendall(b"".join(message.wire for message in sent[:4]))
        listening = threading.Thread(target=lambda: found.extend(heard(wire_socket)))
        listening.start()
    listening.join(30.0)
    wire_socket.close()
    assert [m.kind for m in found[-2:]] == [Tag.TEXT, Tag.CLOSE]
    assert b"being stopped" in wire.text_of(found[-2])


def test_waveforms_and_remarks_are_let_by(serving, sent):
    waveform = wire.MrdMessage(Tag.WAVEFORM, bytes(28) + struct.pack("<HH", 3, 2) + bytes(8 + 24))
    mixed = [m for message in sent[:-1] for m in (message, waveform, text_message("a remark"))]
    with serving() as address:
        found = client.converse(address, [*mixed, CLOSE])
    assert originals(found, sent)
    assert found.texts[-1] == "18 images answered"


@pytest.mark.parametrize(
    "text", ["", "9002", "localhost", "localhost:", "a b:1", "::1:9002", "a:99999"]
)
def test_what_is_no_address_is_said(text):
    with pytest.raises(UsageError, match="--listen is an address"):
        service.listen_at(text)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "scanner.example"])
def test_other_machines_need_a_word(host, monkeypatch):
    with pytest.raises(UsageError, match="--any-client"):
        service.serve(service.MrdSettings(host), Ending())

    def reached(settings):
        raise InputError("it goes on")

    monkeypatch.setattr(service, "listening", reached)
    for settings in (service.MrdSettings(host, any_client=True), service.MrdSettings()):
        with pytest.raises(InputError, match="goes on"):
            service.serve(settings, Ending())


def test_one_address_does_not_hold_every_place(serving):
    few = serving(connections=3, connections_each=1)
    with few as address, socket.create_connection(address) as first:
        assert wire.read(first.makefile("rb").read)  # it is served
        assert said(client.converse(address, []), "1 clients are served already")


def test_an_address_may_be_of_either_kind():
    assert service.listen_at("0.0.0.0:9002") == ("0.0.0.0", 9002)
    assert service.listen_at("[::1]:0") == ("::1", 0)


def test_a_packed_volume_goes_back_as_it_came(serving, small):
    sent = scanner.stream(small, scanner.Arrangement(packed=True))
    with serving() as address:
        found = client.converse(address, sent)
    assert originals(found, sent)
