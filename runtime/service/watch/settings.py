"""What a watch is told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """What is watched, and how.

    Attributes:
        inbox: where scans appear.
        settle_s: without a change until an item is complete.
        tasks: to show; all when None.
        once: end when the inbox is empty.
        keep_days: until the original of an answer is deleted; never when None.
    """

    inbox: Path
    settle_s: float = 30.0
    tasks: tuple[str, ...] | None = None
    once: bool = False
    keep_days: float | None = None

    @property
    def poll_s(self) -> float:
        """Between two looks at the inbox."""
        return min(max(self.settle_s / 4, 0.02), 5.0)
