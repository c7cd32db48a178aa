"""Hostile clients: refused in bounded time and memory, and the next one is served."""

from __future__ import annotations

import asyncio
import errno
import gc
import io
import socket
import time
import zipfile
from collections import namedtuple

import pytest
import uvicorn

from runtime.service import guard
from runtime.service.gate import Gate
from runtime.service.http import service, upload
from runtime.service.http.limits import Limits
from runtime.service.tls import TlsFiles

QUICK = Limits(
    max_bytes=1 << 20, header_s=1.0, body_s=1.0, linger_s=1.0, min_bytes_per_s=1000, connections=8
)
HEAD = (
    "POST /v1/scans HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer " + "t" * 32 + "\r\n"
    "Content-Type: application/octet-stream\r\n"
)


@pytest.fixture
def one(served, scan):
    """A service with short limits; in the end it must still answer, and hold no torn upload."""
    service = served(QUICK)
    yield service
    assert service.done(service.post(scan(99)))["state"] == "done"
    assert list((service.spool / "uploads").iterdir()) == []


def connect(one):
    wire = socket.create_connection(("127.0.0.1", one.port), timeout=5)
    wire.settimeout(5)
    return wire


def ended(wire, drip=b""):
    """What the service says until it ends the connection, while bytes drip in."""
    said = b""
    end = time.monotonic() + 5
    wire.settimeout(0.05)
    while time.monotonic() < end:
        try:
            if drip:
                wire.sendall(drip)
            part = wire.recv(65536)
        except TimeoutError:
            continue
        except OSError:
            return said
        if not part:
            return said
        said += part
    raise AssertionError(f"the connection is still open; it said {said[:200]!r}")


def test_an_announced_size_beyond_the_limit_is_refused_before_it_is_sent(one):
    with connect(one) as wire:
        wire.sendall((HEAD + "Content-Length: 2000000000\r\n\r\n").encode())
        assert b" 413 " in ended(wire)


def test_chunks_without_a_length_stop_at_the_limit(one):
    def endless():
        for _ in range(64):
            yield b"\x1f\x8b" + bytes(1 << 16)

    try:
        assert one.post(endless()).status_code == 413
    except OSError as error:  # httpx may notice the end before the answer
        pytest.fail(str(error))


def test_lies_about_the_length(one):
    for length in ("-5", "1e3", "0x10", "99999999999999999999999", "5, 6"):
        with connect(one) as wire:
            wire.sendall((HEAD + f"Content-Length: {length}\r\n\r\nx").encode())
            assert b" 4" in ended(wire)[:16]


@pytest.mark.parametrize(
    ("version", "lines"),
    [
        ("1.1", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
        ("1.1", "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n"),
        ("1.0", "Transfer-Encoding: chunked\r\n"),
        ("1.1", "Content-Length: 5\r\nContent-Length: 6\r\n"),
        ("1.1", "Transfer-Encoding: identity, chunked\r\n"),
        ("1.1", "Transfer-Encoding : chunked\r\n"),
    ],
)
@pytest.mark.parametrize("head", [HEAD, "GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n"])
def test_a_request_that_ends_in_two_ways_is_refused_and_closed(one, head, version, lines):
    with connect(one) as wire:
        smuggled = "0\r\n\r\nGET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
        head = head.replace("HTTP/1.1", f"HTTP/{version}")
        wire.sendall((head + lines + "\r\n" + smuggled).encode())
        said = ended(wire)
    assert said.split()[1] in (b"400", b"501")
    assert said.count(b"HTTP/1.1 ") == 1


def test_a_body_that_is_cut_off(one):
    with connect(one) as wire:
        wire.sendall((HEAD + "Content-Length: 1000\r\n\r\nhalf").encode())


def test_a_slow_head_is_given_up(one):
    with connect(one) as wire:
        wire.sendall(b"GET /health HTTP/1.1\r\n")
        ended(wire, b"X")


def test_a_silent_connection_is_given_up(one):
    with connect(one) as wire:
        assert ended(wire) == b""


def test_a_slow_second_request_is_given_up(one):
    with connect(one) as wire:
        wire.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b" 200 " in wire.recv(4096)
        wire.sendall(b"GET /health HTTP/1.1\r\n")
        ended(wire, b"X")


def test_a_slow_body_is_given_up(one):
    with connect(one) as wire:
        wire.sendall((HEAD + "Content-Length: 100000\r\n\r\n").encode())
        assert b" 408 " in ended(wire)
    with connect(one) as wire:  # each byte in time, all of them never
        wire.sendall((HEAD + "Content-Length: 100000\r\n\r\n").encode())
        assert b" 408 " in ended(wire, b"x")


def test_a_body_that_goes_on_after_its_answer_is_given_up(one):
    head = HEAD.replace("t" * 32, "wrong")
    with connect(one) as wire:
        wire.sendall((head + "Content-Length: 100000\r\n\r\n").encode())
        assert b" 401 " in ended(wire, b"x")


def test_too_long_a_head(one):
    with connect(one) as wire:
        wire.sendall(b"GET / HTTP/1.1\r\nX: " + b"x" * (1 << 20))
        ended(wire)


def test_more_connections_than_are_taken(one):
    wires = [connect(one) for _ in range(20)]
    time.sleep(0.2)
    closed = 0
    for wire in wires:
        wire.settimeout(0.01)
        try:
            closed += wire.recv(1) == b""
        except TimeoutError:
            pass
        except OSError:
            closed += 1
    assert closed >= 12
    for wire in wires:
        wire.close()
    time.sleep(0.1)


def test_whoever_speaks_is_heard_among_many_that_are_silent(one):
    wires = [connect(one) for _ in range(70)]
    assert one.client.get("/health").status_code == 200
    for wire in wires:
        wire.close()


def test_silent_connections_count_before_their_handshake_is_finished(served, certificates):
    files = TlsFiles(certificates / "node.pem", certificates / "node.key")
    one = served(Limits(header_s=0.5, connections=8), tls=files)
    wires = [connect(one) for _ in range(20)]
    wires[-1].sendall(b"\x16\x03\x01")  # of a handshake that goes no further
    assert [ended(wire) for wire in wires] == [b""] * 20  # some at once, the rest in time
    assert one.client.get("/health").status_code == 200


def test_connections_beyond_the_descriptors_are_turned_away(one, monkeypatch):
    accept, calls = socket.socket.accept, []

    def none_left(self):
        calls.append(1)
        if len(calls) % 2:
            raise OSError(errno.EMFILE, "Too many open files")
        return accept(self)

    with monkeypatch.context() as patch:
        patch.setattr(socket.socket, "accept", none_left)
        for _ in range(3):
            with connect(one) as wire:
                assert ended(wire) == b""
    assert len(calls) < 50  # not asked for the same one over and over


def test_what_is_no_http(one):
    for noise in (
        b"\x16\x03\x01\x02\x00\x01",
        b"\0" * 1000,
        b"GET\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\n",
    ):
        with connect(one) as wire:
            wire.sendall(noise)
            ended(wire)


FORM = {"content-type": "multipart/form-data; boundary=b"}
FILE = b'--b\r\nContent-Disposition: form-data; name="file"'


def test_malformed_forms(one):
    for body in (
        b"",
        b"no boundary in it",
        b"--b\r\n\r\nno headers\r\n--b--\r\n",
        b'--b\r\nContent-Disposition: form-data; name="other"\r\n\r\nx\r\n--b--\r\n',
        FILE + b"\r\n\r\ncut off",
        b"--b\r\n" + b"X: " + b"x" * 20_000 + b"\r\n\r\n\r\n--b--\r\n",
        b"--b\r\n" + b"X: y\r\n" * 5_000 + b"\r\n\r\n--b--\r\n",
        (FILE + b"\r\n\r\n\x1f\x8b\r\n") * 2 + b"--b--\r\n",
        b"--b--\r\n",
    ):
        assert one.post(body, headers=FORM).status_code == 400, body[:100]
    for boundary in ("", "; boundary=", "; boundary=" + "b" * 200):
        headers = {"content-type": "multipart/form-data" + boundary}
        assert one.post(b"x", headers=headers).status_code == 400, boundary


def test_what_is_no_scan(one):
    for headers, body in (
        ({"content-type": "text/html"}, b"\x1f\x8b"),
        ({"content-type": "application/x-www-form-urlencoded"}, b"\x1f\x8b"),
        ({"content-encoding": "gzip"}, b"\x1f\x8b"),
        ({}, b""),
        ({}, b"#!/bin/sh\n"),
        ({}, b"%PDF-1.7"),
    ):
        assert one.post(body, headers=headers).status_code == 415, (headers, body)


def test_names_lead_nowhere(one, scan, tmp_path):
    for name in ("../../x", "/etc/passwd", "a%00b", "x" * 300, "con", "é/ü", ""):
        body = FILE + f'; filename="{name}"\r\n\r\n'.encode() + scan(1) + b"\r\n--b--\r\n"
        assert one.done(one.post(body, headers=FORM))["state"] == "done"
    names = {p.name for p in tmp_path.rglob("*")}
    assert not {n for n in names if "passwd" in n or "xxx" in n or n in ("x", "con")}


def test_a_zip_bomb_is_stored_as_small_as_it_came(one):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../bomb.dcm", bytes(50 << 20))
    assert packed.tell() < 100_000
    job = one.done(one.post(packed.getvalue()))
    assert job["state"] == "failed"  # what answers reads zips within `runtime.scan.dicom.limits`


def test_an_upload_stops_before_the_disk_has_less_than_the_minimum(served, monkeypatch):
    usage, left = namedtuple("usage", "total used free"), [5 << 20]
    monkeypatch.setattr(guard.shutil, "disk_usage", lambda _: usage(0, 0, left[0]))
    put = upload.Sink._put

    def fills(self, data):
        put(self, data)
        left[0] -= len(data)

    monkeypatch.setattr(upload.Sink, "_put", fills)
    one = served(Limits(), min_free_bytes=2 << 20)

    def unannounced():
        for _ in range(64):
            yield b"\x1f\x8b" + bytes(1 << 18)

    assert one.post(unannounced()).status_code == 503
    assert left[0] > 0
    assert list((one.spool / "uploads").iterdir()) == []
    left[0] = 5 << 20
    assert one.post(b"\x1f\x8b" + bytes(4 << 20)).status_code == 503  # by what it announces
    assert left[0] == 5 << 20


def test_two_uploads_are_not_promised_the_same_space(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(guard.shutil, "disk_usage", lambda _: usage(0, 0, 100))
    space = guard.SpaceGuard(tmp_path, 20)
    with space.reserved(50) as one:
        with pytest.raises(guard.NoSpace), space.reserved(50):
            pass
        one.wrote(40)
        with space.reserved(50):
            pass
    assert space.enough(80)
    assert not space.enough(81)


def test_what_connections_leave_behind_is_collected_by_their_number(monkeypatch):
    """asyncio's cycles under TLS: few objects, each with a large buffer."""
    collected = []
    monkeypatch.setattr(gc, "collect", lambda: collected.append(gate.gone))
    gate = Gate(1000, 1000, 10.0, lambda *words: None)
    server = service._Server(uvicorn.Config(app=None), gate)
    for port in range(2 * service._COLLECT):
        with socket.socket() as wire:
            gate.admit(wire, ("127.0.0.1", port))
        asyncio.run(server.on_tick(1))
    assert collected == [service._COLLECT, 2 * service._COLLECT]
