"""A Ray cluster as a batch's `Place`."""

from __future__ import annotations

import multiprocessing
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from fmtool import __version__
from fmtool.bundle import Bundle
from fmtool.errors import CapabilityError, UsageError
from runtime.batch.ray import driver
from runtime.batch.ray.joining import check_address
from runtime.batch.ray.messages import Asked, Opened, Room, Said
from runtime.batch.stop import Stop, StoppedEarly, deaf
from runtime.batch.wire import Broken
from runtime.batch.worker import Job, Setup
from runtime.batch.workers import Reply, Staff
from runtime.engines.choose import Wish, check_words

_CLOSE_S = 5.0  # for a tidy end; the cluster ends the actors of a driver that was killed, too
_TICK_S = 0.1
_DEVICES = ("auto", "cpu", "cuda")


class Cluster:
    """The nodes of a Ray cluster; what they compute with is theirs to say.

    Args:
        address: HOST:PORT of its head, or "auto".
        bundle: opened; it is sent to the nodes.
        wish: what to compute with; a GPU has no number here.
        say: told what becomes of nodes.

    Raises:
        UsageError: for an address that is none, or a wish that `choose` does not know.
    """

    def __init__(
        self, address: str, bundle: Bundle, wish: Wish, say: Callable[[str], None]
    ) -> None:
        check_address(address)
        check_words(wish.engine, wish.precision)
        if wish.device not in _DEVICES:
            raise UsageError(f"with --ray, --device is {', '.join(_DEVICES)}, not {wish.device!r}")
        self.bundle = bundle
        self._address = address
        self._wish = wish
        self._say = say

    @contextmanager
    def open(self, setup: Setup, stop: Stop) -> Iterator[Staff]:
        """See `Place`.

        Raises:
            CapabilityError: if the cluster cannot be joined, or no node can be used.
            StoppedEarly: if a signal came before that was known.
        """
        asked = Asked(self._wish, setup, self.bundle.digest, __version__)
        process, pipe = _started(self._address, asked)
        try:
            workers = _Workers(process, pipe, self._address, self._say)
            opened = workers.opened(stop)
            self._say(f"Nodes compute with {opened.words}")

            @contextmanager
            def hire(left: int) -> Iterator[_Workers]:
                yield workers

            yield Staff(opened.choice.engine, opened.choice.precision, hire)
        finally:
            _end(process, pipe)


class _Workers:
    def __init__(
        self, process: BaseProcess, pipe: Connection, address: str, say: Callable[[str], None]
    ) -> None:
        self._process = process
        self._pipe = pipe
        self._address = address
        self._say = say
        self._replies: deque[Reply] = deque()
        self.most = 1

    def opened(self, stop: Stop) -> Opened:
        """What the nodes compute with, once one has opened.

        Raises:
            CapabilityError: if none does.
            StoppedEarly: if a signal came first.
        """
        while stop.signal is None:
            said = self._heard(_TICK_S)
            if isinstance(said, Broken):
                raise CapabilityError(said.sentence)
            if said is not None:
                assert isinstance(said, Opened)
                return said
        raise StoppedEarly

    def submit(self, job: Job) -> None:
        try:
            self._pipe.send(job)
        except OSError:
            self._replies.append((0, self._ended()))

    def reply(self, seconds: float) -> Reply | None:
        end = time.monotonic() + seconds
        while not self._replies and (left := end - time.monotonic()) > 0:
            said = self._heard(left)
            if isinstance(said, Broken):
                return 0, said
            if said is not None:
                self._replies.append(said)
        return self._replies.popleft() if self._replies else None

    def _heard(self, seconds: float) -> Any:
        """The next word that is neither a remark nor room; None if there is none yet."""
        try:
            if not self._pipe.poll(seconds):
                return None
            said = self._pipe.recv()
        except (EOFError, OSError):
            return self._ended()
        if isinstance(said, Said):
            self._say(said.sentence)
        elif isinstance(said, Room):
            self.most = said.most
        else:
            return said
        return None

    def _ended(self) -> Broken:
        self._process.join(_CLOSE_S)
        return Broken(
            f"the Ray cluster at {self._address} is gone; start it and run the command again: what "
            "is done is kept"
        )


def _started(address: str, asked: Asked) -> tuple[BaseProcess, Connection]:
    context = multiprocessing.get_context("spawn")  # a fork would copy locks that threads may hold
    ours, theirs = context.Pipe()
    process = context.Process(target=driver.drive, args=(theirs, address, asked), daemon=True)
    with deaf():
        process.start()
    theirs.close()
    return process, ours


def _end(process: BaseProcess, pipe: Connection) -> None:
    try:
        pipe.send(None)
        process.join(_CLOSE_S)
    except OSError:  # it has ended already
        pass
    process.kill()
    process.join()
    pipe.close()
