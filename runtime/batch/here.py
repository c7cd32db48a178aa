"""This machine as a batch's workers: processes prepare the scans, this one has the network.

The network runs in this process on all cores, one scan at a time: two at once cost the same
processor time per scan (measured with OpenVINO in float32). No more than a few scans per worker are
under way, which bounds the memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from fmtool.bundle import Bundle
from runtime.batch import resources
from runtime.batch.pool import Pool
from runtime.batch.scratch import Scratch
from runtime.batch.stop import Stop
from runtime.batch.wire import Answered, Packed, unpack
from runtime.batch.worker import Job, Setup
from runtime.batch.workers import Reply, Staff
from runtime.predict import Predictor
from runtime.preprocess.template import Template
from runtime.report.pictures.pictures import of_maps

_UNDER_WAY = 3  # scans per worker: one in work, one waiting for it, one for the network


class Here:
    """A `Place`: this machine, with as many processes as its cores and its memory allow.

    Args:
        predictor: made with `prepares=False`; entered once there is something to do.
        count: of processes, if not that many.
    """

    def __init__(self, predictor: Predictor, count: int | None = None) -> None:
        self._predictor = predictor
        self._count = count

    @property
    def bundle(self) -> Bundle:
        """The predictor's."""
        return self._predictor.bundle

    @contextmanager
    def open(self, setup: Setup, stop: Stop) -> Iterator[Staff]:
        """See `Place`."""
        choice = self._predictor.choice
        yield Staff(choice.engine, choice.precision, lambda left: self._hire(setup, stop, left))

    @contextmanager
    def _hire(self, setup: Setup, stop: Stop, left: int) -> Iterator[_Workers]:
        """The processes, and the network, which is loaded while they start."""
        count = self._count or resources.workers(left)
        with ExitStack() as stack:
            scratch = stack.enter_context(Scratch(setup.scratch))
            pool = stack.enter_context(Pool(replace(setup, scratch=scratch.folder), count))
            stack.enter_context(self._predictor)
            yield _Workers(pool, self._predictor, _UNDER_WAY * count, stop, setup.pictures)


class _Workers:
    def __init__(
        self, pool: Pool, predictor: Predictor, most: int, stop: Stop, pictures: bool
    ) -> None:
        self._pool = pool
        self._predictor = predictor
        self._stop = stop
        self._template = Template.of(predictor.bundle) if pictures else None
        self.most = most

    def submit(self, job: Job) -> None:
        self._pool.submit(job)

    def reply(self, seconds: float) -> Reply | None:
        """The network runs meanwhile, in this thread."""
        found = self._pool.reply(seconds)
        if found is None or self._stop.signal is not None:
            return None
        item, reply = found
        if not isinstance(reply, Packed):
            return item, reply
        result = self._predictor.answer(unpack(reply))
        drawn = of_maps(result.maps, result.prepared, self._template) if self._template else {}
        return item, Answered(result.to_dict(), reply.pictures | drawn)
