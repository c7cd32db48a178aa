"""What time it is, said so that it means the same everywhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime


def stamp() -> str:
    """Now, to the millisecond, by this machine's clock, with its offset from UTC (ISO 8601)."""
    return datetime.now().astimezone().isoformat(timespec="milliseconds")


def utc(stamped: str) -> tuple[str, str]:
    """A stamp as the same instant in UTC, which sorts as text, and the clock's offset."""
    at = datetime.fromisoformat(stamped)
    return at.astimezone(UTC).isoformat(timespec="milliseconds"), at.strftime("%z")


@contextmanager
def timed(timings: dict[str, float], stage: str) -> Iterator[None]:
    """Adds the seconds that the block takes to `timings`."""
    start = time.perf_counter()
    yield
    timings[stage] = timings.get(stage, 0.0) + time.perf_counter() - start
