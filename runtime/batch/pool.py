"""The worker processes of a batch; one that is ended from outside costs its scan one attempt."""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from typing import Any

from runtime.batch.stop import SIGNALS
from runtime.batch.wire import Broken, Packed, Refused
from runtime.batch.worker import Job, Setup, work
from runtime.scan import called
from runtime.system import scheduling, signals
from runtime.system.machine import THREADS

_SPAWN = multiprocessing.get_context("spawn")  # a fork would copy locks that threads may hold

_STARTING = threading.Lock()

Reply = tuple[int, Packed | Refused | Broken]


class Pool:
    """Worker processes, each tended by a thread; use it as a context manager.

    Whoever submits decides how much is under way at once, which bounds the memory.

    Args:
        setup: for every worker.
        count: of processes.
    """

    def __init__(self, setup: Setup, count: int) -> None:
        self._setup = setup
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._replies: queue.SimpleQueue[Reply] = queue.SimpleQueue()
        self._closing = False
        self._processes: dict[int, Any] = {}
        self._threads = [
            threading.Thread(target=self._guard, args=(number,), daemon=True)
            for number in range(count)
        ]

    def __enter__(self) -> Pool:
        # Python's own helper process: starting it would undo what `_tend` does about the signals.
        resource_tracker.ensure_running()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        """End the workers at once: what they were at is left undone."""
        self._closing = True
        for _ in self._threads:
            self._jobs.put(None)
        for process in list(self._processes.values()):
            process.kill()
        for thread in self._threads:
            thread.join()

    def submit(self, job: Job) -> None:
        """Have a scan prepared; its reply comes from `reply`."""
        self._jobs.put(job)

    def reply(self, seconds: float) -> Reply | None:
        """The next scan that is prepared or refused; None if there is none within `seconds`."""
        try:
            return self._replies.get(timeout=seconds)
        except queue.Empty:
            return None

    def _guard(self, number: int) -> None:
        """No thread ends in silence: the batch would wait for it for ever."""
        try:
            self._tend(number)
        except Exception as error:
            why = getattr(error, "strerror", None) or type(error).__name__
            self._replies.put((0, Broken(f"a worker process cannot be started ({why})")))

    def _tend(self, number: int) -> None:
        """Keep one worker at work; start it anew when it was ended."""
        # Workers inherit this: until they can ignore the signals, those wait.
        signals.hold(SIGNALS)
        process, pipe = self._start(number)
        ready = False
        while (job := self._jobs.get()) is not None and not self._closing:
            reply: Packed | Refused | Broken | None
            try:
                if not ready:
                    reply = pipe.recv()  # its greeting
                    ready = reply is None
                if ready:
                    pipe.send(job)
                    reply = pipe.recv()
            except (EOFError, OSError):
                process.join()
                pipe.close()
                if self._closing:
                    return
                reply = _ended(job, process.exitcode) if ready else _stillborn(process.exitcode)
                if ready:
                    process, pipe = self._start(number)
                    ready = False
            assert reply is not None
            self._replies.put((job.item, reply))
        pipe.close()
        process.join()

    def _start(self, number: int) -> tuple[Any, Connection]:
        cores = scheduling.there() or [0]
        ours, theirs = _SPAWN.Pipe()
        with _STARTING, _one_thread():
            process = _SPAWN.Process(
                target=work, args=(theirs, self._setup, cores[number % len(cores)]), daemon=True
            )
            process.start()
            self._processes[number] = process
        theirs.close()
        if self._closing:
            process.kill()
        return process, ours


def _stillborn(code: int | None) -> Broken:
    return Broken(
        f"a worker process ended as it started ({_how(code)}), perhaps for want of memory; close "
        "other programs, or use a machine with more"
    )


def _how(code: int | None) -> str:
    return signal.Signals(-code).name if code is not None and code < 0 else f"exit code {code}"


def _ended(job: Job, code: int | None) -> Refused:
    return Refused(
        f"{called(job.source)}: the process that prepared it was ended ({_how(code)}), perhaps for "
        "want of memory",
        True,
    )


@contextmanager
def _one_thread() -> Iterator[None]:
    """What numerical libraries read when they are loaded, for the processes started meanwhile."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
