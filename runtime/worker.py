"""The process that answers for a service, which survives what a hostile input breaks there."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from os import PathLike
from typing import Protocol

from fmtool.errors import BundleError, CapabilityError, FmtoolError, UsageError
from runtime.answerer import About, Answerer, Order, Outcome, Verdict

Stop = Callable[[], bool]
"""Whether to give up now."""

ANSWER_S = 1800.0
START_S = 600.0
"""The first start of a bundle may measure and compile."""

_TICK_S = 0.1


class Worker(Protocol):
    """What a service needs of whoever answers."""

    about: About

    def __call__(self, order: Order, stop: Stop) -> Outcome:
        """Answer one order, or give up when `stop` says so; an exception of `stop` goes through."""

    @property
    def alive(self) -> bool:
        """Whether the next order can begin at once."""

    def ensure(self) -> None:
        """Start anew what died.

        Raises:
            FmtoolError: if it does not start.
        """

    def close(self) -> None:
        """End, whatever it is at."""


class _Answers(Protocol):
    about: About

    def __call__(self, order: Order) -> Outcome: ...

    def close(self) -> None: ...


class ProcessWorker:
    """An `Answerer` in a process of its own, started anew after it died.

    Args:
        make: gives what answers, in the process; can be pickled.
        answer_s: how long one order may take; then the process is ended, and so is that order.

    Raises:
        FmtoolError: what `make` raised.
    """

    about: About

    def __init__(self, make: Callable[[], _Answers], answer_s: float = ANSWER_S) -> None:
        self._make = make
        self._answer_s = answer_s
        self._process: BaseProcess | None = None
        self._start()

    @property
    def alive(self) -> bool:
        """Whether the process is up, with its bundle loaded."""
        return self._process is not None and self._process.is_alive()

    def __call__(self, order: Order, stop: Stop = lambda: False) -> Outcome:
        """Send an order and wait for its outcome, or until `stop` says to give up.

        Raises:
            FmtoolError: if the process died before and does not start.
        """
        self.ensure()  # what keeps it from starting is no fault of the order's
        end = time.monotonic() + self._answer_s
        try:
            self._pipe.send(order)
            while not self._pipe.poll(_TICK_S):
                if stop():
                    self.close()
                    return Outcome(Verdict.stopped)
                if time.monotonic() > end:
                    self.close()
                    reason = f"{order.scan} took longer than {self._answer_s:g} s"
                    return Outcome(Verdict.broken, "Timeout", reason)
            outcome = self._pipe.recv()
        except (EOFError, ConnectionError):
            self.close()
            reason = (
                f"{order.scan} ended the process that read it: it is damaged, or too large for "
                "this machine's memory"
            )
            return Outcome(Verdict.broken, "Crash", reason)
        except BaseException:
            self.close()  # or its outcome would be taken for the next order's
            raise
        assert isinstance(outcome, Outcome)
        return outcome

    def ensure(self) -> None:
        """Start the process anew if it died.

        Raises:
            FmtoolError: if it does not start.
        """
        if not self.alive:
            self._start()

    def close(self) -> None:
        """Kill the process."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process.close()
            self._process = None
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
        if not isinstance(ready, About):
            self.close()
            if isinstance(ready, FmtoolError):
                raise ready
            raise FmtoolError(f"the predicting process did not start ({type(ready).__name__})")
        self.about = ready


def open_worker(
    bundle: str | PathLike[str] | None = None, tasks: Sequence[str] | None = None
) -> ProcessWorker:
    """A worker that predicts with a bundle; the demonstration bundle when None.

    Raises:
        FmtoolError: if the bundle cannot be loaded, or has no such task.
    """
    return ProcessWorker(partial(Answerer, bundle, tasks))


def _serve(pipe: Connection, make: Callable[[], _Answers]) -> None:
    """The process: one order after the other until the pipe, or the parent, ends."""
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, signal.SIG_IGN)  # the parent decides when this ends
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        answers = make()
    except FmtoolError as error:
        pipe.send(_portable(error))
        return
    pipe.send(answers.about)
    while True:
        try:
            order = pipe.recv()
        except EOFError:
            answers.close()
            return
        pipe.send(answers(order))


def _portable(error: FmtoolError) -> FmtoolError:
    """The error as one that a pipe can carry: the sentence and the exit code are what counts."""
    kinds = (UsageError, CapabilityError, BundleError)
    kind = next((k for k in kinds if isinstance(error, k)), FmtoolError)
    return kind(str(error))


def _end_with_parent() -> None:
    """A killed parent must not leave a process that goes on writing its answer."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)
