"""Answering a series: the seam to whatever computes, and the process that does it by default."""

from __future__ import annotations

import multiprocessing
import signal
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from os import PathLike
from pathlib import Path

from fmtool.errors import FmtoolError
from runtime.result import Failure, Result

Answer = Callable[[Path], Result | Failure]
"""A folder with one series' objects in, its result out; may be called again after a crash."""

_START_S = 600.0  # the first start of a bundle may measure and compile


class PredictorProcess:
    """A Predictor in a process of its own: what a hostile object breaks there, the node survives.

    Args:
        bundle: a path, or None for the demonstration bundle.
        tasks: the tasks to answer; all when None.
        answer_s: how long one series may take; then the process is ended, and so is that series.

    Raises:
        FmtoolError: what the Predictor raised on its way up, such as a damaged bundle.
    """

    def __init__(
        self,
        bundle: str | PathLike[str] | None = None,
        tasks: Sequence[str] | None = None,
        answer_s: float = 1800.0,
    ) -> None:
        self._wanted = (bundle, list(tasks) if tasks else None)
        self._answer_s = answer_s
        self._process: BaseProcess | None = None
        self._start()

    def __call__(self, series: Path) -> Result | Failure:
        """The result of the series in a folder; a Failure if its process dies or takes too long."""
        if self._process is None or not self._process.is_alive():
            self._start()
        try:
            self._pipe.send(series)
            if self._pipe.poll(self._answer_s):
                outcome = self._pipe.recv()
                assert isinstance(outcome, Result | Failure)
                return outcome
            reason = f"took longer than {self._answer_s:g} s; send it again if it is a head"
        except (EOFError, OSError):  # the pipe's other end is gone
            reason = "ended the process that read it; it is damaged or too large for this machine"
        self.close()
        return Failure(series.name, f"the series {reason}")

    def close(self) -> None:
        """End the process, whatever it is at."""
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
        self._process = context.Process(target=_serve, args=(theirs, *self._wanted), daemon=True)
        self._process.start()
        theirs.close()
        try:
            ready = self._pipe.recv() if self._pipe.poll(_START_S) else TimeoutError()
        except EOFError as error:
            ready = error
        if ready is not None:
            self.close()
            if isinstance(ready, FmtoolError):
                raise ready
            raise FmtoolError(f"the predictor's process did not start ({type(ready).__name__})")


def _serve(
    pipe: Connection, bundle: str | PathLike[str] | None, tasks: Sequence[str] | None
) -> None:
    """The process: one series after the other until the pipe ends."""
    from runtime.predict import Predictor

    for number in (signal.SIGINT, signal.SIGTERM):  # which a whole process group may be sent
        signal.signal(number, signal.SIG_IGN)  # the node decides when this ends
    try:
        predictor = Predictor(bundle)
        predictor.select(tasks)
        predictor.__enter__()
    except FmtoolError as error:
        pipe.send(error)
        return
    with predictor:
        pipe.send(None)
        while True:
            try:
                series = pipe.recv()
            except EOFError:
                return
            pipe.send(_answer(predictor.predict, series, tasks))


def _answer(
    predict: Callable[[Path, Sequence[str] | None], Result],
    series: Path,
    tasks: Sequence[str] | None,
) -> Result | Failure:
    try:
        return predict(series, tasks)
    except FmtoolError as error:
        return Failure(series.name, str(error))
    except Exception:  # a defect, of which the next series must not hear
        return Failure(series.name, f"an error of fmtool:\n{traceback.format_exc()}")
