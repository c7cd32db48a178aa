"""The watch as a process that can be disturbed."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import psutil

from benchmarks.soak import SETTLE_S


class WatchProcess:
    """`fmtool watch` as a process, and the most memory that it and its children had."""

    def __init__(self, inbox: Path, out: Path, bundle: Path | None) -> None:
        words = ["watch", inbox, "--out", out, "--settle", SETTLE_S, "--log", out / "watch.log"]
        words += ["--bundle", bundle] if bundle else []
        self._words = [sys.executable, "-m", "fmtool", *map(str, words)]
        self.starts = 0
        self.start()

    def start(self) -> None:
        """Start it, again."""
        self._process = subprocess.Popen(self._words)
        self.started = time.monotonic()
        self.starts += 1

    def end(self, number: int) -> tuple[int, float]:
        """Send a signal; the exit code, and the seconds until the end."""
        clock = time.monotonic()
        self._process.send_signal(number)
        return self._process.wait(), time.monotonic() - clock

    def kill(self) -> None:
        """End it, if it runs; nothing is left behind after a failure here."""
        self._process.kill()
        self._process.wait()

    @property
    def alive(self) -> bool:
        """Whether it runs; nobody else should end it."""
        return self._process.poll() is None

    def memory(self) -> int:
        """Bytes of it and its children, without what they share."""
        try:
            whole = psutil.Process(self._process.pid)
            return sum(p.memory_full_info().uss for p in (whole, *whole.children(recursive=True)))
        except psutil.Error:
            return 0  # one of them ended in between
