"""Signals that wait, for a thread and the processes that it starts, where the system has them."""

from __future__ import annotations

import signal
from collections.abc import Iterable
from typing import Any


def hold(numbers: Iterable[int]) -> set[Any]:
    """Have the signals wait; what waited before, for `restore`."""
    if not hasattr(signal, "pthread_sigmask"):
        return set()
    return signal.pthread_sigmask(signal.SIG_BLOCK, numbers)


def restore(before: set[Any]) -> None:
    """Have those alone wait that did before `hold`."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
