"""What runs on a node: one actor that reads, prepares and answers one scan after another.

It opens no ledger, and needs nothing of the node but fmtool and the scans' storage. Ray is not
imported here: whoever makes an actor hands it what it needs.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace

from fmtool import __version__
from fmtool.environment import caches
from fmtool.errors import CapabilityError, FmtoolError
from runtime.batch.ray.messages import Asked, Opened, Unseen
from runtime.batch.ray.ship import unpacked
from runtime.batch.scratch import Scratch
from runtime.batch.tried import LASTING, changed, tried
from runtime.batch.wire import Answered, Broken, Refused
from runtime.batch.worker import Job
from runtime.ledger.content import content_digest, stat_digest
from runtime.predict import Predictor
from runtime.report.publish import pictures
from runtime.scan import called
from runtime.system import scheduling


class Actor:
    """A Predictor on some of a node's cores.

    Args:
        node: what the node is called.
        asked: what to compute with.
        fetch: gives `ship.pack`'s bytes.
        cores: how many it may use; engines count them when they are loaded.
        index: which group of so many.
    """

    def __init__(
        self, node: str, asked: Asked, fetch: Callable[[], bytes], cores: int, index: int
    ) -> None:
        self._node = node
        self._asked = asked
        self._fetch = fetch
        self._cores = (cores, index)
        self._stack = ExitStack()
        self._predictor: Predictor | None = None

    def open(self) -> Opened | Broken:
        """Load everything; to be called once, before any `answer`."""
        try:
            return self._open()
        except FmtoolError as error:
            return Broken(f"node {self._node} cannot be used: {error}")

    def answer(self, job: Job) -> Answered | Refused | Unseen:
        """What comes of one scan."""
        if job.content is not None:  # the command has read it: whether this node can, too
            try:
                there = content_digest(job.source)
            except LASTING as error:
                return Unseen(str(error.strerror))
            except OSError as error:
                return Refused(f"{called(job.source)} cannot be read ({error.strerror})", True)
            if there != job.content:
                return changed(job.source)
        return tried(job.source, lambda: self._answer(job))

    def _open(self) -> Opened:
        asked = self._asked
        if asked.version != __version__:
            raise CapabilityError(
                f"it has fmtool {__version__}, the command {asked.version}; install the same"
            )
        _pin(*self._cores)
        kept = caches.folder("bundles")  # before the temporary files' folder is another
        scratch = self._stack.enter_context(Scratch(caches.private()))
        tempfile.tempdir = str(scratch.folder)
        bundle = unpacked(asked.digest, self._fetch, kept)
        setup = asked.setup
        predictor = Predictor(
            bundle, wish=asked.wish, reading=setup.reading, prevalence=setup.prevalence
        )
        chosen = predictor.choice
        if asked.auto:  # a precision that fails the self-test is then replaced, as on one machine
            chosen = predictor.choice = replace(chosen, auto=asked.auto)
        self._predictor = self._stack.enter_context(predictor)
        return Opened(chosen, predictor.engine.describe())

    def _answer(self, job: Job) -> Answered | Refused:
        predictor = self._predictor
        assert predictor is not None, "answer() was called before open()"
        before = stat_digest(job.source) if job.content is not None else ""
        result = predictor.predict(job.source)
        if before and stat_digest(job.source) != before:
            return changed(job.source)
        drawn = pictures(result, predictor.template) if self._asked.setup.pictures else {}
        return Answered(result.to_dict(), drawn)


def _pin(cores: int, index: int) -> None:
    """Keep this thread, and those that it starts from now on, on its own cores.

    Where Ray was told of more cores than there are, groups share some.
    """
    if there := scheduling.there():
        first = cores * index
        scheduling.bind({there[i % len(there)] for i in range(first, first + cores)})
