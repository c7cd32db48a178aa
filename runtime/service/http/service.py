"""`fmtool serve http` put together: all is checked, then the process started, the port opened."""

from __future__ import annotations

import gc
import logging
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import uvicorn

from fmtool.errors import InputError, UsageError
from runtime.ledger import FILE, Ledger
from runtime.report.publish import check_writable
from runtime.service import tls
from runtime.service.alone import alone
from runtime.service.ending import Ending
from runtime.service.gate import Door, Gate
from runtime.service.guard import MIN_FREE_BYTES, SpaceGuard
from runtime.service.http import app as apps
from runtime.service.http.auth import Auth, check_host, read_token
from runtime.service.http.front import HttpFront
from runtime.service.http.jobs import Jobs, Spool
from runtime.service.http.limits import Limits
from runtime.service.http.metrics import Metrics
from runtime.service.http.protocol import timed
from runtime.service.log import tell
from runtime.service.loop import SHORT, AnswerLoop
from runtime.service.worker import OrderWorker
from runtime.system.private import own, unshared

logger = logging.getLogger("fmtool.http")

_DRAIN_S = 5  # for answers that are being sent when the service ends


@dataclass(frozen=True)
class HttpSettings:
    """Where to listen, and what to keep.

    Attributes:
        spool: the folder of the jobs; made if it is absent.
        host: an address of this machine.
        port: 0 for any that is free.
        token_file: see `auth.read_token`; None only on a loopback address.
        tls: the certificate and its key, or None.
        limits: see there.
        min_free_bytes: of the spool's disk; below it nothing is taken.
        keep_days: until a settled job is deleted.
        root_path: what a proxy puts before the service's paths, as `root_path` returns it.
        page: whether `/` is a page to drop a scan on, and the last jobs are listed.
    """

    spool: Path
    host: str = "127.0.0.1"
    port: int = 8080
    token_file: Path | None = None
    tls: tls.TlsFiles | None = None
    limits: Limits = field(default_factory=Limits)
    min_free_bytes: int = MIN_FREE_BYTES
    keep_days: float = 7.0
    root_path: str = ""
    page: bool = True


def root_path(text: str) -> str:
    """A path under which a proxy shows the service: "" or "/NAME", of as many names as it has.

    Raises:
        UsageError: if it is no path.
    """
    path = text.strip("/")
    if not re.fullmatch(r"([\w.~-]+/)*[\w.~-]*", path, re.ASCII) or {".", ".."} & {
        *path.split("/")
    }:
        raise UsageError(f"--root-path is a path such as /fmtool, not {text!r}")
    return f"/{path}" if path else ""


def serve(settings: HttpSettings, make: Callable[[], OrderWorker], ending: Ending) -> None:
    """Serve until the end is asked for.

    Args:
        settings: see there.
        make: starts what answers, once everything else is known to be good.
        ending: when to stop.

    Raises:
        UsageError: if another machine could come in without a token.
        InputError: if the token file, the spool, the certificate or the port cannot be used.
        FmtoolError: if the bundle cannot be loaded.
    """
    check_host(settings.host, settings.token_file is not None)
    auth = Auth(read_token(settings.token_file) if settings.token_file else None)
    if settings.tls is not None:
        tls.server_context(settings.tls)
    with unshared(), alone(_spool(settings.spool), "service"), _listening(settings) as listener:
        worker = make()
        try:
            with Ledger(settings.spool / FILE) as ledger:  # of the loop's thread
                _run(settings, worker, ledger, auth, listener, ending)
        finally:
            worker.close()


def _spool(folder: Path) -> Path:
    """The folder, which is this user's alone from now on."""
    if own(folder, FILE):
        tell(logger, "folder_closed", logging.WARNING, why="others could read it")
    check_writable(folder)
    return folder


def _run(
    settings: HttpSettings,
    worker: OrderWorker,
    ledger: Ledger,
    auth: Auth,
    listener: Door,
    ending: Ending,
) -> None:
    about = worker.about
    spool = Spool(settings.spool, about.digest)
    jobs = Jobs(spool, settings.limits, lambda: worker.stage)
    guard = SpaceGuard(settings.spool, settings.min_free_bytes)
    metrics = Metrics(about.bundle, about.engine)
    front = HttpFront(spool, ledger, metrics, settings.keep_days)
    loop = AnswerLoop(front, ledger, worker, guard, ending)
    answering = threading.Thread(target=loop.run, name="answering", daemon=True)
    serving = apps.Serving(
        jobs,
        loop,
        guard,
        metrics,
        auth,
        settings.limits,
        ending,
        settings.root_path,
        settings.page,
    )
    server: _Server

    def end() -> None:
        server.should_exit = True

    most, each = settings.limits.connections, settings.limits.connections_each
    listener.gate = Gate(most, each, settings.limits.header_s, _told)
    pem = settings.tls
    config = uvicorn.Config(
        apps.create(serving, end),
        http=timed(settings.limits, listener.gate),
        ws="none",
        loop="asyncio",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=int(settings.limits.linger_s) or 1,
        timeout_graceful_shutdown=_DRAIN_S,
        h11_max_incomplete_event_size=32 << 10,
        ssl_certfile=pem.cert if pem else None,
        ssl_keyfile=pem.key if pem else None,
    )
    server = _Server(config, listener.gate)
    answering.start()
    try:
        host, port = listener.getsockname()[:2]
        facts = {"bundle": about.digest[:SHORT], "engine": about.engine, "tls": pem is not None}
        tell(logger, "listening", host=host, port=port, token=auth.has_token, **facts)
        server.run([listener])
    finally:
        if not ending.asked:
            ending.ask()
        answering.join()
        jobs.close()
        tell(logger, "ended")


_COLLECT = 128
"""Connections that are gone. Under TLS asyncio leaves each as a cycle of objects with a buffer of
256 KiB, which Python's collector, that counts objects and not bytes, lets lie."""


class _Server(uvicorn.Server):
    """Leaves the signals to `Ending`, which also ends what is being answered."""

    def __init__(self, config: uvicorn.Config, gate: Gate) -> None:
        super().__init__(config)
        self._gate, self._collected = gate, 0

    async def on_tick(self, counter: int) -> bool:
        """Several times a second."""
        self._gate.sweep()
        if self._gate.gone - self._collected >= _COLLECT:
            self._collected = self._gate.gone
            gc.collect()
        return await super().on_tick(counter)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


def _told(event: str, host: str, why: str) -> None:
    tell(logger, event, logging.WARNING, peer=host, why=why)


@contextmanager
def _listening(settings: HttpSettings) -> Iterator[Door]:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = Door(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        try:
            listener.bind((settings.host.strip("[]"), settings.port))
        except OSError as error:
            raise InputError(
                f"cannot listen on {settings.host} port {settings.port} ({error.strerror}); name "
                "another with --host or --port"
            ) from None
        yield listener
    finally:
        listener.close()
