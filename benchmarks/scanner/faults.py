"""Faults at random moments: the server's end, its child's, the client's, a full disk, refusals.

The server, its loop, its child process and the client are the real ones; what the child computes is
a stand-in that reads the volume and waits a little, so that 500 runs take minutes.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import random
import signal
import socket
import struct
import tempfile
import threading
import time
from collections import Counter
from functools import partial
from multiprocessing.process import BaseProcess
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Any

import numpy as np

from fmtool.errors import FmtoolError, InputError, ParityError
from runtime.ledger import FILE, Ledger
from runtime.scan import Scan
from runtime.service import log
from runtime.service.answer import AnsweredBy, Fate, Order, Outcome
from runtime.service.ending import Ending
from runtime.service.mrd import service, volume, wire
from runtime.service.mrd.answer import ANSWER, stored
from runtime.service.mrd.limits import SessionLimits
from runtime.service.mrd.rehearsal import client, scanner
from runtime.service.mrd.rehearsal.scanner import Arrangement
from runtime.service.mrd.wire import MrdMessage, Tag
from runtime.service.worker import OrderWorker
from runtime.system.clock import stamp

_BUDGET_S = 3.0
_COMPUTES_S = 0.3
_PATIENCE_S = 120.0
_FLAGS = ("refuse", "full", "untrusted", "slow")
_ODD = ("client leaves", "half", "raw")
_GROWTH_MB = 16.0


class FaultyAnswerer:
    """A stand-in for what answers, and for what can go wrong with it, as flags in a folder say."""

    def __init__(self, flags: Path) -> None:
        if (flags / "untrusted").exists():
            raise ParityError("the engine does not reproduce the bundle's self-test")
        (flags / "pid").write_text(str(os.getpid()))
        self._flags = flags
        self.about = AnsweredBy("stand-in", "b" * 64, "none")

    def close(self) -> None:
        """Nothing is held."""

    def __call__(self, order: Order) -> Outcome:
        """Read the volume, wait, answer; or what the flags say."""
        read = volume.read(list(stored(order.source)))
        time.sleep(4 * _BUDGET_S if self._is("slow") else _COMPUTES_S)
        if self._is("refuse"):
            return Outcome(Fate.refused, "InputError", "the scan is refused")
        if self._is("full"):
            return Outcome(Fate.blocked, "disk_full", "no space left")
        said = f"answered {read.scan.array.size} voxels"
        (order.into / ANSWER).write_bytes(wire.text_message(said).wire)
        told = {"timings": {"total": _COMPUTES_S}, "engine": "none", "version": "0"}
        return Outcome(Fate.done, result={**told, "finished": stamp()})

    def _is(self, flag: str) -> bool:
        return (self._flags / flag).exists()


def _serve(flags: Path, told: Queue[Any]) -> None:
    log.configure(flags / "log")
    ending = Ending(grace_s=0.5)
    limits = SessionLimits(budget_s=_BUDGET_S, idle_s=20.0, stall_s=5.0)
    settings = service.MrdSettings(port=0, limits=limits, min_free_bytes=0)
    with (
        ending.on_signals(),
        service.listening(settings) as listener,
        tempfile.TemporaryDirectory(dir=flags) as name,
        Ledger(Path(name) / FILE) as ledger,
    ):
        worker = OrderWorker(partial(FaultyAnswerer, flags), _BUDGET_S, start=False)
        told.put(listener.getsockname()[:2])
        service.run(settings, Path(name), listener, ledger, worker, ending)
        worker.close()


class _Server:
    """The server in a process of its own, started anew when it is gone."""

    def __init__(self, flags: Path) -> None:
        self._flags, self._context = flags, multiprocessing.get_context("spawn")
        self._process: BaseProcess | None = None
        self.address = ("", 0)

    def ensure(self) -> None:
        if self._process is not None and self._process.is_alive():
            return
        told: Queue[Any] = self._context.Queue()
        self._process = self._context.Process(target=_serve, args=(self._flags, told))
        self._process.start()
        self.address = told.get(timeout=_PATIENCE_S)

    def end(self, number: int) -> None:
        process = self._process
        if process is not None and process.pid is not None:
            os.kill(process.pid, number)
            process.join(_PATIENCE_S)

    def resident_mb(self) -> float:
        pid = self._process.pid if self._process is not None else 0
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
        return round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, 1)

    def kill_child(self) -> None:
        with contextlib.suppress(OSError, ValueError):  # it may be gone, or not begun
            os.kill(int((self._flags / "pid").read_text()), signal.SIGKILL)


def run(runs: int, seed: int) -> dict[str, Any]:
    """So many runs; how often each fault was tried, and what was missed."""
    chance = random.Random(seed)
    kinds = [*_FLAGS, "kill child", "kill server", "stop server", *_ODD]
    tried, missed, started = Counter[str](), list[str](), time.monotonic()
    voxels = np.random.default_rng(seed).random((24, 24, 24), dtype=np.float32)
    sent = scanner.stream(Scan(voxels, np.diag([3.0, 3.0, 3.0, 1.0])))
    with tempfile.TemporaryDirectory(prefix="fmtool-faults-") as name:
        server = _Server(Path(name))
        server.ensure()
        for number in range(runs):
            kind, moment = chance.choice(kinds), chance.uniform(0.0, 1.0)
            tried[kind] += 1
            if why := _one(server, Path(name), sent, kind, moment, chance):
                missed.append(f"run {number}, {kind} at {moment:.2f} s: {why}")
        server.end(signal.SIGTERM)
    seconds = round(time.monotonic() - started, 1)
    return {"runs": runs, "seed": seed, "tried": dict(tried), "missed": missed, "seconds": seconds}


def crowd(count: int) -> dict[str, Any]:
    """So many connections in a row, each with some of a stream; how much the server grew."""
    chance, missed = random.Random(count), list[str]()
    voxels = np.random.default_rng(0).random((16, 64, 64), dtype=np.float32)
    sent = scanner.stream(Scan(voxels, np.diag([3.0, 3.0, 3.0, 1.0])), Arrangement("axial"))
    sizes = []
    with tempfile.TemporaryDirectory(prefix="fmtool-crowd-") as name:
        server = _Server(Path(name))
        server.ensure()
        for number in range(count + 1):
            if number % max(1, count // 4) == 0:
                if why := _next(server.address, sent):
                    missed.append(f"after {number} connections: {why}")
                sizes.append(server.resident_mb())
            if why := _odd_client(server.address, sent, chance.choice(_ODD), chance):
                missed.append(f"connection {number}: {why}")
        server.end(signal.SIGTERM)
    if sizes[-1] - sizes[1] > _GROWTH_MB:  # the first quarter fills caches
        missed.append(f"grew from {sizes[1]:.0f} to {sizes[-1]:.0f} MB")
    return {"connections": count, "resident_mb": sizes, "missed": missed}


def _one(
    server: _Server,
    flags: Path,
    sent: list[MrdMessage],
    kind: str,
    moment: float,
    chance: random.Random,
) -> str:
    """What went wrong in one run and the connection after it; "" if nothing."""
    server.ensure()
    if kind in _ODD:
        why = _odd_client(server.address, sent, kind, chance)
    else:
        fault = threading.Timer(moment, _fault, args=(server, flags, kind))
        fault.start()
        why = _held(server.address, sent, kind)
        fault.join()
    for flag in _FLAGS:
        (flags / flag).unlink(missing_ok=True)
    server.ensure()
    return why or _next(server.address, sent)


def _fault(server: _Server, flags: Path, kind: str) -> None:
    if kind in _FLAGS:
        (flags / kind).touch()
    if kind in ("kill child", "untrusted"):
        server.kill_child()
    elif kind == "kill server":
        server.end(signal.SIGKILL)
    elif kind == "stop server":
        server.end(signal.SIGTERM)


def _held(address: tuple[str, int], sent: list[MrdMessage], kind: str) -> str:
    """Whether a whole stream was let go of as it must be."""
    start = time.monotonic()
    try:
        found = client.converse(address, sent, timeout_s=_PATIENCE_S)
    except InputError as error:
        server_went = kind in ("kill server", "stop server")
        return "" if server_went else str(error)  # cut off, or nobody listens any more
    took = time.monotonic() - start
    if took > _BUDGET_S + 6.0:
        return f"held for {took:.1f} s"
    images = [m for m in sent if m.kind == Tag.IMAGE]
    if found.closes == 1:
        back = [wire.image(m).data for m in found.images]
        here = [wire.image(m).data for m in images]
        stopped = kind == "stop server" and len(back) <= len(here)
        whole = stopped or len(back) == len(here)
        same = all(np.array_equal(a, b) for a, b in zip(back, here, strict=False))
        return "" if whole and same else f"{len(back)} of {len(here)} originals came back"
    if found.closes == 0 and kind == "kill server":
        return ""
    return f"{found.closes} CLOSE"


def _odd_client(
    address: tuple[str, int], sent: list[MrdMessage], kind: str, chance: random.Random
) -> str:
    whole = b"".join(message.wire for message in sent)
    cut = chance.randrange(len(whole))
    with socket.create_connection(address, timeout=_PATIENCE_S) as wire_socket:
        wire_socket.sendall(whole[:cut])
        if kind == "client leaves":
            wire_socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return ""
        if kind == "half":
            wire_socket.shutdown(socket.SHUT_WR)
        else:
            wire_socket.sendall(struct.pack("<H", 1008) * 5000)
        stream, closes = wire_socket.makefile("rb"), 0
        while (message := wire.read(stream.read)) is not None:
            closes += message.kind is Tag.CLOSE
    return "" if closes == 1 else f"{closes} CLOSE"


def _next(address: tuple[str, int], sent: list[MrdMessage]) -> str:
    """Whether the next connection is answered; a child that was killed may take a moment."""
    end = time.monotonic() + _PATIENCE_S
    while True:
        try:
            found = client.converse(address, sent, timeout_s=_PATIENCE_S)
        except FmtoolError as error:
            return f"the next connection: {error}"
        if found.closes != 1:
            return f"the next connection got {found.closes} CLOSE"
        if any("answered" in text for text in found.texts):
            return ""
        if time.monotonic() > end:
            return f"the next connection is not answered: {found.texts[-1]}"
        time.sleep(0.2)
