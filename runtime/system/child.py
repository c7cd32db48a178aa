"""A process of its own for what a hostile input may break, started anew after it died."""

from __future__ import annotations

import multiprocessing
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, Protocol

from fmtool.errors import BundleError, CapabilityError, FmtoolError, UsageError
from runtime.system import clock
from runtime.system.orphan import end_with_parent

GiveUp = Callable[[], bool]
"""Whether to give up now."""

START_S = 600.0
"""The first start of a bundle may measure and compile."""

_TICK_S = 0.1


class Server(Protocol):
    """What runs in the process."""

    @property
    def about(self) -> Any:
        """What the parent is told once it is up; not None."""

    def __call__(self, request: Any, /) -> Any:
        """The reply to one request."""

    def close(self) -> None:
        """Called when the parent needs it no more."""


@dataclass(frozen=True)
class Stage:
    """What a request has come to, sent before its reply."""

    name: str


class Crashed(Exception):
    """The process ended before it replied."""


class Late(Exception):
    """The process took too long, and was ended."""


class GivenUp(Exception):
    """The parent gave up, and the process was ended."""


class Child:
    """A `Server` in a process of its own; whatever ends it, the next request starts another.

    Args:
        make: gives the server, in the process; can be pickled.
        start: now; otherwise with the first request, or `ensure`.

    Attributes:
        about: what the server says of itself.
        stage: what the request that is being answered has come to; "" before its first.

    Raises:
        FmtoolError: what `make` raised.
    """

    about: Any
    stage = ""

    def __init__(self, make: Callable[[], Server], start: bool = True) -> None:
        self._make = make
        self._process: BaseProcess | None = None
        if start:
            self._start()

    @property
    def alive(self) -> bool:
        """Whether the process is up, with its bundle loaded."""
        return self._process is not None and self._process.is_alive()

    @property
    def pid(self) -> int | None:
        """The process's number; None where there is none."""
        return self._process.pid if self._process is not None else None

    def ask(self, request: Any, seconds: float, give_up: GiveUp = lambda: False) -> Any:
        """The reply to a request.

        Raises:
            Crashed, Late, GivenUp: instead of a reply; an exception of `give_up` goes through. In
                all of them the process is ended, for its reply would be taken for the next
                request's.
            FmtoolError: if the process died before and does not start.
        """
        self.ensure()  # what keeps it from starting is no fault of the request's
        end = time.monotonic() + seconds
        self.stage = ""
        try:
            self._pipe.send(request)
            while True:
                if self._pipe.poll(_TICK_S):
                    if not isinstance(reply := self._pipe.recv(), Stage):
                        return reply
                    self.stage = reply.name
                if give_up():
                    raise GivenUp
                if time.monotonic() > end:
                    raise Late
        except (EOFError, ConnectionError):
            self.close()
            raise Crashed from None
        except BaseException:
            self.close()
            raise

    def ensure(self) -> None:
        """Start the process anew if it died.

        Raises:
            FmtoolError: if it does not start.
        """
        if not self.alive:
            self._start()

    def close(self) -> None:
        """Kill the process; another thread that waits for it learns so, and may close it too."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.join()
            process.close()
            self._pipe.close()

    def _start(self) -> None:
        self.close()
        context = multiprocessing.get_context("spawn")  # a fork would inherit sockets and locks
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, self._make), daemon=True)
        self._process.start()
        theirs.close()
        try:
            ready = self._pipe.recv() if self._pipe.poll(START_S) else TimeoutError()
        except (EOFError, OSError) as error:
            ready = error
        if isinstance(ready, BaseException):
            self.close()
            if isinstance(ready, FmtoolError):
                raise ready
            raise FmtoolError(f"the predicting process did not start ({type(ready).__name__})")
        self.about = ready


def _serve(pipe: Connection, make: Callable[[], Server]) -> None:
    """The process: one request after the other until the pipe, or the parent, ends."""
    for name in (signal.SIGINT, signal.SIGTERM):  # which a whole process group may be sent
        signal.signal(name, signal.SIG_IGN)  # the parent decides when this ends
    end_with_parent()
    try:
        server = make()
    except FmtoolError as error:
        pipe.send(_portable(error))
        return
    pipe.send(server.about)
    lock = threading.Lock()  # stages may begin in several threads

    def began(stage: str) -> None:
        with lock:
            pipe.send(Stage(stage))

    clock.began = began
    while True:
        try:
            request = pipe.recv()
        except EOFError:
            server.close()
            return
        pipe.send(server(request))


def _portable(error: FmtoolError) -> FmtoolError:
    """The error as one that a pipe can carry: the sentence and the exit code are what counts."""
    kinds = (UsageError, CapabilityError, BundleError)
    kind = next((k for k in kinds if isinstance(error, k)), FmtoolError)
    return kind(str(error))
