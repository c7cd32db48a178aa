"""`fmtool serve mrd` put together: the port opens first, the model loads while images come."""

from __future__ import annotations

import logging
import re
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from fmtool import bundle as bundles
from fmtool.errors import InputError, UsageError
from runtime.ledger import FILE, Ledger
from runtime.service.ending import Ending
from runtime.service.guard import SpaceGuard
from runtime.service.log import tell
from runtime.service.loop import SHORT, AnswerLoop
from runtime.service.mrd.answer import MrdAnswerer
from runtime.service.mrd.front import MrdFront, logger
from runtime.service.mrd.limits import Holding, SessionLimits
from runtime.service.mrd.session import MrdSession, refuse
from runtime.service.tls import is_loopback
from runtime.service.worker import OrderWorker

PORT = 9002
"""Where such servers listen by convention."""

MIN_FREE_BYTES = 256 << 20
_TICK_S = 0.2
_LATER_S = 5.0


@dataclass(frozen=True)
class MrdSettings:
    """Where to listen, with what to answer.

    Attributes:
        host: an address of this machine.
        port: 0 for any that is free.
        bundle: a path; the demonstration bundle when None.
        limits: of a connection.
        min_free_bytes: of the disk of temporary files; below it nothing is computed.
        any_client: whether other machines may connect; the protocol has no password.
    """

    host: str = "127.0.0.1"
    port: int = PORT
    bundle: Path | None = None
    limits: SessionLimits = field(default_factory=SessionLimits)
    min_free_bytes: int = MIN_FREE_BYTES
    any_client: bool = False


def listen_at(text: str) -> tuple[str, int]:
    """The address and the port of "127.0.0.1:9002" or "[::1]:9002".

    Raises:
        UsageError: if it is none.
    """
    found = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[^:\s\[\]]+):(\d{1,5})", text)
    if not found or int(found[2]) > 65535:
        raise UsageError(f"--listen is an address and a port such as 127.0.0.1:9002, not {text!r}")
    return found[1].strip("[]"), int(found[2])


def serve(
    settings: MrdSettings, ending: Ending, ready: Callable[[tuple[str, int]], None] | None = None
) -> None:
    """Serve until the end is asked for.

    A bundle whose engine cannot be trusted here leaves the server up: what comes goes back, with
    the reason.

    Args:
        settings: see there.
        ending: when to stop.
        ready: told the address once it listens.

    Raises:
        UsageError: if other machines could connect, and nobody said they may.
        BundleError: if the bundle is missing or damaged.
        InputError: if the address or the folder of temporary files cannot be used.
    """
    local = is_loopback(settings.host)
    if not local and not settings.any_client:
        raise UsageError(
            f"{settings.host} may be reached from other machines, and the protocol has no "
            "password: listen on 127.0.0.1, or say --any-client on a network of your own"
        )
    with bundles.open(settings.bundle) as opened:
        digest = opened.digest
    try:
        scratch = tempfile.TemporaryDirectory(prefix="fmtool-mrd-", ignore_cleanup_errors=True)
    except OSError as error:
        raise InputError(
            f"no folder of temporary files can be used ({error.strerror}); set TMPDIR to one"
        ) from None
    make = partial(MrdAnswerer, settings.bundle)
    with scratch as name, listening(settings) as listener, Ledger(Path(name) / FILE) as ledger:
        address = listener.getsockname()[:2]
        tell(logger, "listening", host=address[0], port=address[1], bundle=digest[:SHORT])
        if not local:
            tell(logger, "any_client", host=address[0], why="anyone on the network can send")
        worker = OrderWorker(make, settings.limits.budget_s, start=False)
        try:
            if ready is not None:
                ready(address)
            run(settings, Path(name), listener, ledger, worker, ending)
        finally:
            worker.close()
            tell(logger, "ended")


def run(
    settings: MrdSettings,
    folder: Path,
    listener: socket.socket,
    ledger: Ledger,
    worker: OrderWorker,
    ending: Ending,
) -> None:
    """Take connections, and answer with a worker, until the end is asked for.

    Args:
        folder: for streams while they are answered; empty, and this server's alone.
    """
    front, guard = MrdFront(folder), SpaceGuard(folder, settings.min_free_bytes)
    loop = AnswerLoop(front, ledger, worker, guard, ending)
    answering = threading.Thread(target=loop.run, name="answering", daemon=True)
    front.blocked = lambda: loop.waiting or "it has broken" * (not answering.is_alive())
    answering.start()
    limits, holding = settings.limits, Holding(settings.limits.held_bytes)
    served: dict[threading.Thread, str] = {}
    listener.settimeout(_TICK_S)
    while not ending.asked:
        try:
            client, address = listener.accept()
        except TimeoutError:
            continue
        except OSError as error:  # no descriptors are left, or the client is gone
            tell(logger, "connection_refused", logging.WARNING, errno=error.errno)
            ending.wait(_TICK_S)
            continue
        tell(logger, "connection_accepted", peer=address[0])
        served = {thread: host for thread, host in served.items() if thread.is_alive()}
        same = sum(host == address[0] for host in served.values())
        if len(served) >= limits.connections or same >= limits.connections_each:
            refuse(client, f"{len(served)} clients are served already; try again later.")
            continue
        session = MrdSession(client, front, folder, limits, holding, guard.enough, ending)
        thread = threading.Thread(target=session.run, daemon=True)
        served[thread] = address[0]
        thread.start()
    for thread in [*served, answering]:
        thread.join(limits.stall_s + _LATER_S)


@contextmanager
def listening(settings: MrdSettings) -> Iterator[socket.socket]:
    """A socket that listens where it is told to.

    Raises:
        InputError: if it cannot.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((settings.host, settings.port))
        except OSError as error:
            raise InputError(
                f"cannot listen on {settings.host} port {settings.port} ({error.strerror}); name "
                "another with --listen"
            ) from None
        listener.listen(settings.limits.connections)
        yield listener
