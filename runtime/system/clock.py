"""What time it is, said so that it means the same everywhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime


def stamp() -> str:
    """Now, to the millisecond, by this machine's clock, with its offset from UTC (ISO 8601)."""
    return datetime.now().astimezone().isoformat(timespec="milliseconds")


def utc(stamped: str) -> tuple[str, str]:
    """A stamp as the same instant in UTC, which sorts as text, and the clock's offset."""
    at = datetime.fromisoformat(stamped)
    return at.astimezone(UTC).isoformat(timespec="milliseconds"), at.strftime("%z")


began: Callable[[str], None] | None = None
"""Called with each stage as it begins; set by a process that has somebody to tell."""


@contextmanager
def timed(timings: dict[str, float], stage: str) -> Iterator[None]:
    """Adds the seconds that the block takes to `timings`."""
    if began is not None:
        began(stage)
    start = time.perf_counter()
    yield
    timings[stage] = timings.get(stage, 0.0) + time.perf_counter() - start
