"""Feeding, disturbing and measuring a watch."""

from __future__ import annotations

import shutil
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.soak.feed import Feed, heads
from benchmarks.soak.judge import check
from benchmarks.soak.process import WatchProcess

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
