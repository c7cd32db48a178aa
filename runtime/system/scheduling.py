"""Which cores a thread keeps to and to whom it gives way, where the system lets it say so."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


def there() -> list[int]:
    """The cores that this thread may run on; nothing where the system does not tell."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def bind(cores: Iterable[int]) -> None:
    """Keep this thread, and those that it starts from now on, on some of `there()`."""
    os.sched_setaffinity(0, cores)


@contextmanager
def bound_to(core: int) -> Iterator[None]:
    """`bind` to one for as long as this is open; nothing where the system cannot."""
    if not (everywhere := there()):
        yield
        return
    bind({core})
    try:
        yield
    finally:
        bind(everywhere)


def give_way(steps: int) -> None:
    """Have this process run after others, by so many steps of `nice`; nothing on Windows."""
    if hasattr(os, "nice"):
        os.nice(steps)
