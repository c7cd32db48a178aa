"""Request: how much is measured, and in which rounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.bench.timing import WARM_UP
from fmtool.errors import UsageError

ROUNDS = 10
"""trtexec's least number of inferences: one a round, if they are that slow."""

OFFLINE_ROUNDS = 3
STAGE_ROUNDS = 3
PROBE_SECONDS = 0.5


@dataclass(frozen=True)
class Request:
    """How much is measured.

    Attributes:
        scans: heads to measure on, and through the whole pipeline.
        batches: whose throughput is measured, ascending.
        seconds: of timed inferences per candidate, at least, and at least `ROUNDS` inferences.
        repeats: instead: exactly so many inferences.
    """

    scans: tuple[Path, ...] = ()
    batches: tuple[int, ...] = (1, 2, 4)
    seconds: float = 3.0
    repeats: int | None = None

    def rounds(self) -> list[tuple[float, int]]:
        """(seconds, least count) of each round's block of single inferences."""
        if self.repeats is None:
            return [(self.seconds / ROUNDS, 1)] * ROUNDS
        count = min(self.repeats, ROUNDS)
        each, more = divmod(self.repeats, count)
        return [(0.0, each + (i < more)) for i in range(count)]

    def offline(self) -> list[tuple[float, int]]:
        """The same of the blocks of each larger batch."""
        if self.repeats is None:
            return [(self.seconds / OFFLINE_ROUNDS, 1)] * OFFLINE_ROUNDS
        return [(0.0, 1)] * min(self.repeats, OFFLINE_ROUNDS)

    def probe_seconds(self) -> float:
        """How long one pass of a probe of the device's peak should take."""
        return PROBE_SECONDS if self.repeats else min(PROBE_SECONDS, self.seconds / ROUNDS)

    def method(self) -> dict[str, object]:
        """What the report says of it."""
        return {
            "seconds": None if self.repeats else self.seconds,
            "repeats": self.repeats,
            "rounds": len(self.rounds()),
            "offline_rounds": len(self.offline()),
            "warm_up_seconds": WARM_UP,
            "percentile": "nearest rank",
        }


def batches(text: str) -> tuple[int, ...]:
    """Such as "1,2,4".

    Raises:
        UsageError: if they are not whole numbers above zero.
    """
    try:
        found = sorted({int(part) for part in text.split(",")})
    except ValueError:
        found = [0]
    if found[0] < 1:
        raise UsageError(f"--batch takes whole numbers above zero, such as 1,2,4; not {text!r}")
    return tuple(found)


def request(
    scans: Sequence[Path], batch: str, seconds: float | None, repeats: int | None
) -> Request:
    """The request of a command line.

    Raises:
        UsageError: if both `seconds` and `repeats` are given, or one is not above zero.
    """
    if seconds is not None and repeats is not None:
        raise UsageError("--seconds and --repeats exclude each other; name one")
    if (seconds is not None and not 0 < seconds < 86400) or (repeats is not None and repeats < 1):
        raise UsageError("--seconds and --repeats must be above zero")
    size = batches(batch)
    if repeats is not None:
        return Request(tuple(scans), size, repeats=repeats)
    return Request(tuple(scans), size, seconds if seconds is not None else 3.0)
