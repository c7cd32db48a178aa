"""Who sent a series: the calling AE titles and the addresses, for the record.

senders/SERIES      a line for each: the title, "@", the address
"""

from __future__ import annotations

import threading
import time
from pathlib import Path

from runtime.system.atomic import write_bytes

_MOST = 16  # of one series


class Senders:
    """The senders of an inbox's series; for any thread.

    Args:
        folder: the inbox.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "senders"
        self._folder.mkdir(exist_ok=True)
        self._lock = threading.Lock()
        self._last: tuple[str, str] = "", ""

    def note(self, series: str, title: str, address: str) -> None:
        """An association sends of a series.

        Raises:
            InputError: if that cannot be written down.
        """
        said = f"{title}@{address}"
        with self._lock:
            if self._last == (series, said):
                return
            known = self.of(series)
            if said not in known and len(known) < _MOST:
                write_bytes(self._folder / series, "\n".join([*known, said]).encode())
            self._last = series, said

    def of(self, series: str) -> list[str]:
        """Who sent a series, in order; nobody if somebody put it there."""
        file = self._folder / series
        return file.read_text(encoding="utf-8").split("\n") if file.exists() else []

    def sweep(self, days: float) -> None:
        """Forget the series to which nothing came for so long."""
        for file in self._folder.iterdir():
            if file.stat().st_mtime < time.time() - days * 86400:
                file.unlink()
