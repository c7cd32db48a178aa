"""Advice to use an option of the command line: left out where there is none to use.

A sentence of the library serves the command line, where an option may help, and services, which
nobody gives one to for one scan.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_offered: ContextVar[bool] = ContextVar("options are offered", default=True)


def option(advice: str) -> str:
    """A part of a sentence that names an option; "" inside `no_options`."""
    return advice if _offered.get() else ""


@contextmanager
def no_options() -> Iterator[None]:
    """Whoever reads what is said here cannot choose options."""
    before = _offered.set(False)
    try:
        yield
    finally:
        _offered.reset(before)
