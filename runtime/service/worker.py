"""Who answers a service's orders: an `Answerer` in a process of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from os import PathLike
from typing import Protocol

from runtime.service.answer import About, Answerer, Order, Outcome, Verdict
from runtime.system.child import Child, Crashed, Late, Server, Stop, Stopped

ANSWER_S = 1800.0


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


class ProcessWorker(Child):
    """A `Child` that takes orders.

    Args:
        make: gives what answers, in the process; can be pickled.
        answer_s: how long one order may take; then the process is ended, and so is that order.

    Raises:
        FmtoolError: what `make` raised.
    """

    about: About

    def __init__(self, make: Callable[[], Server], answer_s: float = ANSWER_S) -> None:
        self._answer_s = answer_s
        super().__init__(make)

    def __call__(self, order: Order, stop: Stop = lambda: False) -> Outcome:
        """Send an order and wait for its outcome, or until `stop` says to give up.

        Raises:
            FmtoolError: if the process died before and does not start.
        """
        try:
            outcome = self.ask(order, self._answer_s, stop)
        except Stopped:
            return Outcome(Verdict.stopped)
        except Late:
            reason = f"{order.scan} took longer than {self._answer_s:g} s"
            return Outcome(Verdict.broken, "Timeout", reason)
        except Crashed:
            reason = (
                f"{order.scan} ended the process that read it: it is damaged, or too large for "
                "this machine's memory"
            )
            return Outcome(Verdict.broken, "Crash", reason)
        assert isinstance(outcome, Outcome)
        return outcome


def open_worker(
    bundle: str | PathLike[str] | None = None, tasks: Sequence[str] | None = None
) -> ProcessWorker:
    """A worker that predicts with a bundle; the demonstration bundle when None.

    Raises:
        FmtoolError: if the bundle cannot be loaded, or has no such task.
    """
    return ProcessWorker(partial(Answerer, bundle, tasks))
