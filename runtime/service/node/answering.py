"""Answering a series: the seam to whatever computes, and the process that does it by default."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from functools import partial
from os import PathLike
from pathlib import Path

from fmtool.errors import FmtoolError
from runtime.predict import Predictor
from runtime.result import Failure, Result
from runtime.system.child import Child, Crashed, Late

Answer = Callable[[Path], Result | Failure]
"""A folder with one series' objects in, its result out; may be called again after a crash."""


class PredictorProcess(Child):
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
        self._answer_s = answer_s
        super().__init__(partial(_Series, bundle, list(tasks) if tasks else None))

    def __call__(self, series: Path) -> Result | Failure:
        """The result of the series in a folder; a Failure if its process dies or takes too long."""
        try:
            outcome = self.ask(series, self._answer_s)
        except Late:
            reason = f"took longer than {self._answer_s:g} s; send it again if it is a head"
        except Crashed:
            reason = "ended the process that read it; it is damaged or too large for this machine"
        else:
            assert isinstance(outcome, Result | Failure)
            return outcome
        return Failure(series.name, f"the series {reason}")


class _Series:
    """The predictor in that process."""

    def __init__(self, bundle: str | PathLike[str] | None, tasks: Sequence[str] | None) -> None:
        self._predictor = Predictor(bundle)
        self._predictor.select(tasks)
        self._tasks = tasks
        self._predictor.__enter__()
        self.about = self._predictor.bundle.digest

    def __call__(self, series: Path) -> Result | Failure:
        try:
            return self._predictor.predict(series, self._tasks)
        except FmtoolError as error:
            return Failure(series.name, str(error))
        except Exception:  # a defect, of which the next series must not hear
            return Failure(series.name, f"an error of fmtool:\n{traceback.format_exc()}")

    def close(self) -> None:
        self._predictor.__exit__(None, None, None)
