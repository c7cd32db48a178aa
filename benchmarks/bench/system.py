"""System: a network ready to be timed, whichever library runs it, and what its start took."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from typing import Any

from benchmarks.bench.probe import Make
from runtime.engines.base import Arrays


class Laps:
    """Seconds between one call of `lap` and the next.

    Args:
        started: `time.monotonic()` of the parent, just before it made this process.
    """

    def __init__(self, started: float) -> None:
        self._last = started
        self.seconds: dict[str, float] = {}

    def lap(self, name: str) -> None:
        """`name` is what took the time since the last call."""
        now = time.monotonic()
        self.seconds[name] = now - self._last
        self._last = now


class System(ABC):
    """A network opened by a worker.

    Attributes:
        device: "cpu" or "cuda:N".
        precision: what it computes in.
        facts: what the report says of it: "library", "version", "device", "precision" and notes.
    """

    device: str
    precision: str
    facts: dict[str, Any]

    @abstractmethod
    def run(self, inputs: Arrays) -> Arrays:
        """All outputs, in the memory of the host, for inputs there."""

    @abstractmethod
    def probes(self) -> Make:
        """How to measure the device's peak with the same library and precision.

        Raises:
            CapabilityError: if it cannot be.
        """

    def split(self) -> dict[str, float] | None:
        """Seconds of the last run's "host_to_device", "compute" and "device_to_host", if known."""
        return None

    def self_test(self) -> str | None:
        """Why the bundle's self-test refuses it, or None; "" where there is none to pass."""
        return ""

    @abstractmethod
    def close(self) -> None:
        """Release the network."""
