"""The services on a hostile network: do they answer in time, lose nothing, and stay small?

Four services on loopback, each in a process of its own, with an answer that refuses every scan at
once: HTTP and DICOM, plain and over TLS. Silent connections are opened to each, so many a minute;
meanwhile `/health` and a C-ECHO are asked for, scans and objects are sent. Then objects are sent to
the plain node of which a parser would make a kilobyte of every eight bytes.

    python -m benchmarks.hostile                                   # 10 minutes, 2,000 a minute, 500
    python -m benchmarks.hostile --minutes 1 --objects 50

Writes one JSON object to stdout; exit code 1 if a bar is missed: an answer later than 2 s or lost,
a log of 1 MB, 10 % more memory than after the first tenth of the flood, 100 MiB more than before
the objects.
"""

from __future__ import annotations

import multiprocessing
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from io import BytesIO
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any, cast

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from pynetdicom import AE
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.sop_class import MRImageStorage, Verification  # type: ignore[attr-defined]

from benchmarks.shared import script
from runtime.ledger import FILE, Ledger
from runtime.ledger.outcomes import counts
from runtime.service import tls
from runtime.service.answer import AnsweredBy, Fate, Order, Outcome
from runtime.service.ending import Ending
from runtime.service.log import configure
from runtime.service.worker import OrderWorker
from runtime.system.child import GiveUp

LATEST_S, LOG_BYTES, GROWTH, ABOVE = 2.0, 1_000_000, 0.10, 100 << 20
NAMES = ("http", "https", "dicom", "dicom-tls")
_HELD = 400  # silent connections that are held open to one service
_EVERY_S = 2.0
_ITEM, _END = struct.pack("<HHL", 0xFFFE, 0xE000, 0), struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)


class _Refusing:
    """Who answers: nothing is predicted."""

    about = AnsweredBy("none", "b" * 64, "none")
    alive = True

    def ensure(self) -> None:
        """It is there."""

    def close(self) -> None:
        """Nothing is held."""

    def __call__(self, order: Order, give_up: GiveUp) -> Outcome:
        return Outcome(Fate.refused, "InputError", "a load test")


def main() -> int:
    """Flood, then send the objects; 0 if no bar is missed."""
    args = script.options(__doc__, minutes=10.0, per_minute=2000, objects=500)
    with tempfile.TemporaryDirectory() as place:
        report = run(Path(place), 60.0 * args.minutes, args.per_minute, args.objects)
    script.tell(report, None)
    return int(bool(report["missed"]))


def run(folder: Path, seconds: float, per_minute: int, objects: int) -> dict[str, Any]:
    """What each service did, and which bars were missed."""
    _certificates(folder)
    services = {name: _Service(name, folder) for name in NAMES}
    try:
        for each in services.values():
            each.up()
        found = _flood(services, seconds, per_minute)
        bombs = _bombs(services["dicom"], objects) if objects else {}
    finally:
        for each in services.values():
            each.stop()
    missed = [
        f"{name}: {bar}"
        for name, each in found.items()
        for bar, fails in (
            ("late", each["latest_s"] > LATEST_S),
            ("lost", each["lost"] or each["failed"]),
            ("log", each["log_bytes"] > LOG_BYTES),
            ("memory", each["rss_after"] > (1 + GROWTH) * each["rss_warm"]),
        )
        if fails
    ]
    if bombs and bombs["above"] > ABOVE:
        missed.append("objects: memory")
    return {
        "seconds": seconds,
        "per_minute": per_minute,
        **found,
        "objects": bombs,
        "missed": missed,
    }


class _Service:
    """One service in a process of its own."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.tls = name, name in ("https", "dicom-tls")
        self.http = name.startswith("http")
        self.folder, self.log = folder / name, folder / f"{name}.log"
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        context = multiprocessing.get_context("spawn")
        self._end: Event = context.Event()
        words = (name, folder, self.port, self._end)
        self._process: BaseProcess = context.Process(target=_serve, args=words, daemon=True)
        self._process.start()
        self._client = _client(folder) if self.tls else None
        self.sent, self._count = 0, 0

    def up(self) -> None:
        """Wait until it answers."""
        end = time.monotonic() + 60
        while True:
            try:
                self.probe()
                return
            except (OSError, RuntimeError):
                if time.monotonic() > end:
                    raise
                time.sleep(0.2)

    def probe(self) -> None:
        """Ask whether it is there, over a new connection.

        Raises:
            OSError, RuntimeError: if it does not answer.
        """
        if self.http:
            self._ask("/health")
        else:
            with self.association() as wire:
                if wire.send_c_echo().get("Status") != 0:
                    raise RuntimeError("no C-ECHO")

    def send(self) -> None:
        """Send a scan, or an object of a new series; what is acknowledged is counted."""
        self._count += 1
        if self.http:
            self._ask("/v1/scans", (348).to_bytes(4, "little") + b"%d" % self._count)
        else:
            with self.association() as wire:
                if wire.send_c_store(_object()).get("Status") != 0:
                    raise RuntimeError("refused")
        self.sent += 1

    def association(self) -> Any:
        """An association; released when its block ends."""
        ae = AE("FLOOD")
        ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 10
        ae.add_requested_context(Verification)
        ae.add_requested_context(MRImageStorage, ExplicitVRLittleEndian)
        found = ae.associate(
            "127.0.0.1",
            self.port,
            ae_title="FMTOOL",
            tls_args=(self._client, "127.0.0.1") if self._client else None,  # type: ignore[arg-type]
        )
        if not found.is_established:
            raise RuntimeError("no association")
        return _Released(found)

    def settled(self) -> int:
        """How many scans or series the record has an answer for."""
        with Ledger(self.folder / FILE) as ledger:
            states = counts(ledger)
        return states["done"] + states["failed"] + states["quarantined"]

    def memory(self, what: str = "VmRSS") -> int:
        """Bytes that its process has in memory, or had at most (`VmHWM`)."""
        for line in Path(f"/proc/{self._process.pid}/status").read_text("utf-8").splitlines():
            if line.startswith(f"{what}:"):
                return int(line.split()[1]) << 10
        raise RuntimeError(f"no {what}: this benchmark needs Linux")

    def stop(self) -> None:
        """End it."""
        self._end.set()
        self._process.join(30)
        if self._process.is_alive():
            self._process.kill()

    def _ask(self, path: str, body: bytes | None = None) -> None:
        url = f"http{'s' * self.tls}://127.0.0.1:{self.port}{path}"
        request = urllib.request.Request(url, body, {"Content-Type": "application/octet-stream"})
        with urllib.request.urlopen(request, timeout=10, context=self._client) as answer:
            answer.read()


class _Released:
    """An association for a `with` block."""

    def __init__(self, association: Any) -> None:
        self._association = association

    def __enter__(self) -> Any:
        return self._association

    def __exit__(self, *error: object) -> None:
        self._association.release()


def _flood(services: dict[str, _Service], seconds: float, per_minute: int) -> dict[str, Any]:
    over = threading.Event()
    floods = [
        threading.Thread(target=_silent, args=(each.port, 60.0 / per_minute, over))
        for each in services.values()
    ]
    for flood in floods:
        flood.start()
    latest = dict.fromkeys(services, 0.0)
    failed, warm = dict.fromkeys(services, 0), {}
    start = time.monotonic()
    try:
        while (now := time.monotonic() - start) < seconds:
            for name, each in services.items():
                for ask in (each.probe, each.send):
                    took, good = _took(ask)
                    latest[name] = max(latest[name], took)
                    failed[name] += not good
                if name not in warm and now > seconds / 10:
                    warm[name] = each.memory()
            time.sleep(max(0.0, _EVERY_S - (time.monotonic() - start - now)))
    finally:
        over.set()
        for flood in floods:
            flood.join()
    end = time.monotonic() + 60
    while time.monotonic() < end and any(s.settled() < s.sent for s in services.values()):
        time.sleep(0.5)
    return {
        name: {
            "latest_s": round(latest[name], 3),
            "failed": failed[name],
            "sent": each.sent,
            "lost": each.sent - each.settled(),
            "log_bytes": sum(f.stat().st_size for f in each.log.parent.glob(f"{each.log.name}*")),
            "rss_warm": warm[name],
            "rss_after": each.memory(),
        }
        for name, each in services.items()
    }


def _took(ask: Callable[[], None]) -> tuple[float, bool]:
    start, good = time.monotonic(), True
    try:
        ask()
    except (OSError, RuntimeError):
        good = False
    return time.monotonic() - start, good


def _silent(port: int, pause_s: float, over: threading.Event) -> None:
    """Open connections that say nothing, until it is over."""
    held: deque[socket.socket] = deque()
    due = time.monotonic()
    while not over.wait(max(0.0, due - time.monotonic())):
        due += pause_s
        with suppress(OSError):
            held.append(socket.create_connection(("127.0.0.1", port), timeout=5))
        if len(held) > _HELD:
            held.popleft().close()
    for wire in held:
        wire.close()


def _bombs(node: _Service, count: int) -> dict[str, int]:
    """Send objects that are bombs of items, wherever in them; how far the node's memory went."""
    before, refused = node.memory("VmHWM"), 0
    for number, data in zip(range(count), _bombs_of(), strict=False):
        try:
            with node.association() as wire:
                refused += _store(wire, *data) != 0
        except RuntimeError:
            refused += 1
        if number % 50 == 0:
            node.probe()
    return {"count": count, "refused": refused, "above": node.memory("VmHWM") - before}


def _bombs_of() -> Iterator[tuple[str, bytes]]:
    places = (0x00080006, 0x00081111, 0x00090010, 0x00101002, 0x00189999, 0x0020000F)
    opened = struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF)
    closed = struct.pack("<HHL", 0xFFFE, 0xE00D, 0)
    while True:
        for tag in places:
            for vr in (b"SQ", b"UN"):
                flat = _ITEM * 400_000
                inner = struct.pack("<HHL", 0x0008, 0x1140, 0xFFFFFFFF) + _ITEM * 390_000 + _END
                nested = opened + (inner if vr == b"UN" else b"") + closed + _ITEM * 10
                for items in (flat, (opened + closed) * 200_000, nested):
                    yield _spliced(tag, vr, items)


def _spliced(tag: int, vr: bytes, items: bytes) -> tuple[str, bytes]:
    """An object's SOP Instance UID, and its bytes with a sequence in the place of `tag`."""
    instance = generate_uid(prefix=None)
    values = {
        0x00080016: (b"UI", MRImageStorage),
        0x00080018: (b"UI", instance),
        0x00100020: (b"LO", "FLOOD"),
        0x0020000D: (b"UI", generate_uid(prefix=None)),
        0x0020000E: (b"UI", generate_uid(prefix=None)),
    }
    parts = {}
    for key, (kind, value) in values.items():
        raw = value.encode() + b"\0" * (len(value) % 2)
        parts[key] = struct.pack("<HH2sH", key >> 16, key & 0xFFFF, kind, len(raw)) + raw
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr + bytes(2) + b"\xff" * 4
    parts[tag] = head + items + _END
    return instance, b"".join(parts[key] for key in sorted(parts))


def _store(wire: Any, instance: str, data: bytes) -> int:
    """The status of a C-STORE of bytes that no library would write."""
    request = C_STORE()
    request.MessageID, request.Priority = 1, 2
    request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = MRImageStorage, instance
    request.DataSet = BytesIO(data)
    (context,) = (c for c in wire.accepted_contexts if c.abstract_syntax == MRImageStorage)
    wire._reactor_checkpoint.clear()
    while not wire._is_paused:
        time.sleep(0.01)
    wire.dimse.send_msg(request, context.context_id)
    _, response = wire.dimse.get_msg(block=True)
    wire._reactor_checkpoint.set()
    return -1 if response is None else int(response.Status)


def _object() -> Dataset:
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID, ds.SOPInstanceUID = MRImageStorage, generate_uid(prefix=None)
    ds.PatientID, ds.StudyInstanceUID = "FLOOD", generate_uid(prefix=None)
    ds.SeriesInstanceUID = generate_uid(prefix=None)
    return ds


def _serve(name: str, folder: Path, port: int, end: Event) -> None:
    """The process of a service, until it is told to end."""
    ending = Ending(2.0)
    configure(folder / f"{name}.log")

    def wait() -> None:
        end.wait()
        ending.ask()

    threading.Thread(target=wait, daemon=True).start()
    files = _files(folder, "node") if name in ("https", "dicom-tls") else None
    worker = cast(OrderWorker, _Refusing())
    if name.startswith("http"):
        from runtime.service.http.limits import Limits
        from runtime.service.http.service import HttpSettings, serve

        limits = Limits(queue=10_000)
        if files:
            files = tls.TlsFiles(files.cert, files.key)
        settings = HttpSettings(
            folder / name, port=port, tls=files, limits=limits, min_free_bytes=0
        )
        serve(settings, lambda: worker, ending)
        return
    from runtime.service.node.log import hush_libraries
    from runtime.service.node.policy import Policy
    from runtime.service.node.server import DicomNode, NodeSettings

    hush_libraries()
    policy = Policy(allow=("FLOOD",), settle_s=1.0, min_free_bytes=0)
    node = DicomNode(NodeSettings(policy, folder / name, port=port, tls=files), ending)
    node.start(worker)
    end.wait()
    node.stop()


def _files(folder: Path, name: str) -> tls.TlsFiles:
    return tls.TlsFiles(folder / f"{name}.pem", folder / f"{name}.key", folder / "ca.pem")


def _client(folder: Path) -> ssl.SSLContext:
    return tls.client_context(_files(folder, "client"))


def _certificates(folder: Path) -> None:
    """An authority, and a certificate of it for the services and for who asks them."""
    new = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    of = ["-CA", "ca.pem", "-CAkey", "ca.key", "-addext", "basicConstraints=critical,CA:FALSE"]
    of += ["-addext", "subjectAltName=IP:127.0.0.1"]
    for name in ("ca", "node", "client"):
        words = ["-nodes", "-keyout", f"{name}.key", "-out", f"{name}.pem", "-subj", f"/CN={name}"]
        command = [*new, *words, *(of if name != "ca" else [])]
        subprocess.run(command, check=True, capture_output=True, cwd=folder)


if __name__ == "__main__":
    sys.exit(main())
