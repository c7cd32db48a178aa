"""Who answers a service's orders: an `Answerer` in a process of its own."""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from functools import partial
from os import PathLike
from pathlib import Path

from runtime.service.answer import AnsweredBy, Answerer, Fate, Order, Outcome
from runtime.system.child import Child, Crashed, GivenUp, GiveUp, Late, Server

ANSWER_S = 1800.0


class OrderWorker(Child):
    """A `Child` that takes orders.

    Args:
        make: gives what answers, in the process; can be pickled.
        answer_s: how long one order may take; then the process is ended, and so is that order.
        start: see `Child`.

    Raises:
        FmtoolError: what `make` raised.
    """

    about: AnsweredBy

    def __init__(
        self, make: Callable[[], Server], answer_s: float = ANSWER_S, start: bool = True
    ) -> None:
        self._answer_s = answer_s
        super().__init__(make, start)

    def __call__(self, order: Order, give_up: GiveUp = lambda: False) -> Outcome:
        """Send an order and wait for its outcome, or until `give_up` says so.

        Raises:
            FmtoolError: if the process died before and does not start.
        """
        try:
            outcome = self.ask(order, self._answer_s, give_up)
        except GivenUp:
            return Outcome(Fate.stopped)
        except Late:
            reason = f"{order.scan} took longer than {self._answer_s:g} s"
            return Outcome(Fate.broken, "Timeout", reason)
        except Crashed:
            reason = (
                f"{order.scan} ended the process that read it: it is damaged, or too large for "
                "this machine's memory"
            )
            return Outcome(Fate.broken, "Crash", reason)
        assert isinstance(outcome, Outcome)
        return outcome

    def digest(self, source: Path, give_up: GiveUp = lambda: False) -> str:
        """The digest of a content that may be hostile, or on a disk that does not answer.

        Raises:
            OSError: if it cannot be read, or `give_up` says so.
            FmtoolError: if the process died before and does not start.
        """
        try:
            found = self.ask(source, self._answer_s, give_up)
        except (GivenUp, Late, Crashed) as error:
            why = type(error).__name__
            raise OSError(errno.EIO, f"reading it ended: {why}") from None
        if isinstance(found, OSError):
            raise found
        return str(found)


def open_worker(
    bundle: str | PathLike[str] | None = None, tasks: Sequence[str] | None = None
) -> OrderWorker:
    """A worker that predicts with a bundle; the demonstration bundle when None.

    Raises:
        FmtoolError: if the bundle cannot be loaded, or has no such task.
    """
    return OrderWorker(partial(Answerer, bundle, tasks))
