"""When an item is complete: nothing in it changed for the stability window."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path

from runtime.service.watch.look import Seen, look


class Settling:
    """The items of an inbox that are waited for, and since when they have not changed.

    The window is measured by this machine's own clock between two looks: a file's time may come
    from another machine, or from the original that it is a copy of.

    Args:
        inbox: the folder.
        window_s: without a change until an item is complete.
        clock: seconds, never going back.
    """

    def __init__(
        self, inbox: Path, window_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._inbox = inbox
        self._window_s = window_s
        self._clock = clock
        self._held: dict[str, tuple[Seen, float]] = {}

    @property
    def held(self) -> set[str]:
        """The names of what is in the inbox."""
        return set(self._held)

    def update(self, names: Iterable[str]) -> list[tuple[str, Seen]]:
        """Look at every item; those that are complete, the longest unchanged first."""
        held: dict[str, tuple[Seen, float]] = {}
        for name in names:
            try:
                seen = look(self._inbox / name)
            except OSError:
                continue  # gone again, or not to be listed just now: its window begins anew
            before = self._held.get(name)
            same = before is not None and before[0].fingerprint == seen.fingerprint
            held[name] = (seen, before[1] if same and before else self._clock())
        self._held = held
        now = self._clock()
        ready = [
            (since, name, seen)
            for name, (seen, since) in held.items()
            if now - since >= self._window_s
        ]
        return [(name, seen) for _, name, seen in sorted(ready, key=lambda r: (r[0], r[1]))]

    def again(self, name: str) -> None:
        """Let an item's window begin anew."""
        if name in self._held:
            self._held[name] = (self._held[name][0], self._clock())

    def forget(self, name: str) -> None:
        """An item was dealt with."""
        self._held.pop(name, None)
