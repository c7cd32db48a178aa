"""Feeding, disturbing and measuring a watch, and whether every input came out where it should."""

from __future__ import annotations

import json
import math
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks.soak import SETTLE_S
from benchmarks.soak.feed import Feed, heads
from runtime.ledger import FILE, Ledger
from runtime.ledger.outcomes import counts, outcomes


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


AHEAD = 6
"""Studies that wait: enough that the watch never does."""

WARM_S = 30.0


def soak(minutes: float, scan: Path | None, bundle: Path | None, folder: Path) -> dict[str, Any]:
    """Feed, disturb, check; what came out, as plain data."""
    inbox, out = folder / "inbox", folder / "outbox"
    for place in (inbox, out):
        place.mkdir()
    watch = WatchProcess(inbox, out, bundle)
    try:
        return _soak(minutes, Feed(inbox, heads(scan)), watch, inbox, out)
    finally:
        watch.kill()


def _soak(
    minutes: float, feed: Feed, watch: WatchProcess, inbox: Path, out: Path
) -> dict[str, Any]:
    began, ends = time.monotonic(), {}
    memory: list[tuple[float, int]] = []
    faults = [(minutes * 20, signal.SIGTERM), (minutes * 40, signal.SIGKILL)]
    while (now := time.monotonic() - began) < minutes * 60:
        if not watch.alive:
            raise SystemExit("the watch ended by itself; see its log")
        if faults and now > faults[0][0]:
            _, number = faults.pop(0)
            ends[number.name] = watch.end(number)
            watch.start()
        if sum(1 for _ in inbox.iterdir()) < AHEAD:
            feed.one()
        elif time.monotonic() - watch.started > WARM_S:
            memory.append((now, watch.memory()))
            time.sleep(0.2)
        else:
            time.sleep(0.2)
        if shutil.disk_usage(out).free < 4 << 30:
            raise SystemExit("too little space is left to go on")
        for original in (out / "done").glob("good*"):  # an hour of originals would fill the disk
            shutil.rmtree(original) if original.is_dir() else original.unlink(missing_ok=True)
    fed = time.monotonic() - began
    while any(inbox.iterdir()) and watch.alive:
        time.sleep(0.2)
    ends["SIGTERM at the end"] = watch.end(signal.SIGTERM)
    return {
        "minutes": round(fed / 60, 2),
        "studies per minute": round(len(feed.good) / fed * 60, 2),
        "starts": watch.starts,
        "ends": {name: [code, round(seconds, 2)] for name, (code, seconds) in ends.items()},
        **_memory(memory),
        **check(feed, out),
    }


def _memory(samples: list[tuple[float, int]]) -> dict[str, Any]:
    """The middle of the first and of the last quarter's samples, in MB."""
    sizes = [size for _, size in samples if size]
    if len(sizes) < 8:
        return {}
    quarter = len(sizes) // 4
    first, last = np.median(sizes[:quarter]), np.median(sizes[-quarter:])
    return {"memory MB": [round(float(first) / 1e6), round(float(last) / 1e6)]}


def check(feed: Feed, out: Path) -> dict[str, Any]:
    """Whether every input came out where it should."""
    problems = []
    values = []
    for name in feed.good:
        path = out / name.removesuffix(".nii") / "result.json"
        try:
            values.append(json.loads(path.read_text())["values"]["age"]["value"])
        except (OSError, ValueError, KeyError):
            problems.append(f"{name} has no answer")
    for name, kind in feed.bad.items():
        note = out / "quarantine" / name.removesuffix(".nii") / "reason.txt"
        if not note.is_file() or not note.read_text().strip():
            problems.append(f"{name} ({kind}) was not put aside with a reason")
    if any(not math.isfinite(v) for v in values) or np.ptp(values or [0.0]) > 0.01:
        problems.append(f"the same head got values from {min(values)} to {max(values)}")
    with Ledger(out / FILE) as ledger:
        states = counts(ledger)
        results = len({row["content"] for row in outcomes(ledger) if "values" in row})
    if results != len(feed.good) or states["done"] != len(feed.good):
        problems.append(f"the ledger says {states}, {results} results")
    return {
        "good": len(feed.good),
        "answered": len(values),
        "bad": len(feed.bad),
        "kinds": dict(Counter(feed.bad.values())),
        "ledger": states,
        "problems": problems,
    }
