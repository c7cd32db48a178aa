"""What a peer sends to the node's port, PDU by PDU: `runtime.service.node.scp` on loopback.

A trial's bytes go to one node that stays up; every trial must leave it listening, and every few an
honest peer's C-ECHO and C-STORE must be answered.
"""

from __future__ import annotations

import itertools
import logging
import socket
import tempfile
import threading
import time
from contextlib import suppress
from functools import cache
from io import BytesIO
from pathlib import Path

from pydicom import config, dcmread
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE

from benchmarks.fuzz.entries import made_dicom
from benchmarks.fuzz.entry import Entry
from runtime.service.node.listener import DicomListener
from runtime.service.node.log import hush_libraries, logger
from runtime.service.node.policy import Policy
from runtime.service.node.scp import listen
from runtime.service.node.storage import Inbox
from runtime.service.repeats import FACTS

_ECHO = "1.2.840.10008.1.1"
_POLICY = Policy(
    allow=("SCANNER",),
    min_free_bytes=0,
    max_object_bytes=1 << 20,
    acse_s=1.0,
    dimse_s=1.0,
    network_s=2.0,
    pdu_s=1.0,
    association_s=4.0,
)
_EVERY = 40
_TRIES = 5
_counter = itertools.count()
_broken: list[str] = []


class _Watching(logging.Handler):
    """Notes the connections that failed of the node's own fault."""

    def emit(self, record: logging.LogRecord) -> None:
        kind = getattr(record, FACTS, {}).get("exception")
        fine = (None, "ConnectionRefusedError", "OSError")
        if record.msg == "connection_refused" and kind not in fine:
            _broken.append(f"{record.msg}: {kind}")


@cache
def _node() -> tuple[DicomListener, threading.Thread]:
    config.settings.reading_validation_mode = config.IGNORE  # as the node sets it
    hush_libraries()
    logger.handlers, logger.propagate = [_Watching()], False
    logger.setLevel(logging.INFO)
    inbox = Inbox(Path(tempfile.mkdtemp(prefix="fmtool-fuzz-node-")), 0)
    listener = listen(_POLICY, inbox, "127.0.0.1", 0, None)
    thread = threading.Thread(target=listener.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    threading.excepthook = lambda args: _broken.append(
        f"{args.exc_type.__name__}: {args.exc_value}"
    )
    return listener, thread


def _send(data: bytes) -> None:
    """After the first PDU the node is waited for, as a peer does; then all the rest, at once."""
    port = _node()[0].server_address[1]
    first = 6 + int.from_bytes(data[2:6], "big")
    with socket.create_connection(("127.0.0.1", port), timeout=5.0) as wire, suppress(OSError):
        wire.sendall(data[:first])
        wire.settimeout(0.2)
        with suppress(TimeoutError):
            wire.recv(65536)
        wire.settimeout(5.0)
        wire.sendall(data[first:])
        wire.shutdown(socket.SHUT_WR)
        while wire.recv(65536):
            pass


def _trial(data: bytes, folder: Path) -> None:
    del folder
    _broken.clear()
    _send(data)
    assert _node()[1].is_alive(), "the node no longer listens"
    assert not _broken, _broken[0]
    if next(_counter) % _EVERY == 0:
        assert any(map(_honest, range(_TRIES))), "an honest peer is no longer answered"


def _honest(tried: int) -> bool:
    """Whether a peer is answered, once what a trial left open has timed out."""
    time.sleep(min(tried, 1))
    return _converse(_node()[0].server_address[1])


def _converse(port: int) -> bool:
    """A C-ECHO, a C-STORE and a release; whether both requests succeed."""
    ae = AE("SCANNER")
    ae.add_requested_context(_ECHO, ImplicitVRLittleEndian)
    ae.add_requested_context(made_dicom.MR, ExplicitVRLittleEndian)
    peer = ae.associate("127.0.0.1", port, ae_title="FMTOOL")
    if not peer.is_established:
        return False
    echo = peer.send_c_echo()
    stored = peer.send_c_store(dcmread(BytesIO(next(made_dicom.slices()))))
    peer.release()
    return all(answer.get("Status") == 0 for answer in (echo, stored))


@cache
def _recorded() -> bytes:
    """What an honest peer sends for a C-ECHO, a C-STORE and a release, through a proxy."""
    port = _node()[0].server_address[1]
    sent = bytearray()
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        thread = threading.Thread(target=_relay, args=(proxy, port, sent), daemon=True)
        thread.start()
        assert _converse(proxy.getsockname()[1])
        thread.join(5.0)
    return bytes(sent)


def _relay(proxy: socket.socket, port: int, sent: bytearray) -> None:
    client, _ = proxy.accept()
    with client, socket.create_connection(("127.0.0.1", port)) as node:
        back = threading.Thread(target=_copy, args=(node, client, bytearray()), daemon=True)
        back.start()
        _copy(client, node, sent)
        back.join(5.0)


def _copy(source: socket.socket, target: socket.socket, seen: bytearray) -> None:
    with suppress(OSError):
        while part := source.recv(65536):
            seen += part
            target.sendall(part)
        target.shutdown(socket.SHUT_WR)


def _seeds() -> list[bytes]:
    whole = _recorded()
    first = 6 + int.from_bytes(whole[2:6], "big")
    return [whole, whole[:first], b"\x01\0\0\0\0\x44" + bytes(68), b"\x07\0\0\0\0\x04\0\0\0\0"]


_PDUS = tuple(bytes((kind, 0, 0, 0, 0, 4, 0, 0, 0, 0)) for kind in range(1, 9))
_ITEMS = (
    b"\x10\0\0\x15",
    b"\x20\0",
    b"\x50\0",
    b"\x51\0\0\x04\0\0\0\0",
    b"\x54\0",
    b"\x58\0\xff\xff",
)

ENTRY = Entry(_seeds, _trial, _PDUS + _ITEMS)
