"""System: a network that is ready to be timed, whichever library runs it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from benchmarks.bench.probe import Make
from runtime.engines.base import Arrays


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
