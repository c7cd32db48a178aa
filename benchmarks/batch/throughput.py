"""How much faster a batch is than the same scans one by one, and how much of the cores it uses."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]

from benchmarks.batch import PREDICT
from benchmarks.batch.scans import copies
from runtime.system.machine import cores


def timed(commands: Sequence[Sequence[str]]) -> dict[str, float]:
    """Wall and processor seconds of some commands, one after the other."""
    before, start = os.times(), time.perf_counter()
    for command in commands:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = os.times()
    spent = after.children_user + after.children_system
    return {
        "wall": time.perf_counter() - start,
        "cpu": spent - before.children_user - before.children_system,
    }


def throughput(scan: Path, count: int, work: Path) -> dict[str, Any]:
    """Seconds of the three ways to have the same scans answered, and their ratios."""
    folder = copies(scan, count, work / "in")
    files = [str(path) for path in sorted(folder.iterdir())]
    timed([[*PREDICT, files[0]]])  # the self-test is remembered, the files are cached
    each = timed([[*PREDICT, file] for file in files])
    together = timed([[*PREDICT, *files, "--json"]])
    batch = timed([[*PREDICT, str(folder), "--out", str(work / "out")]])
    return {
        "scans": count,
        "one command each": each,
        "one command, one after the other": together,
        "batch": batch,
        "ratio to one command each": each["wall"] / batch["wall"],
        "ratio to one after the other": together["wall"] / batch["wall"],
    }


def busy(scan: Path, count: int, work: Path) -> dict[str, Any]:
    """How much of the cores a batch with the full-size encoder uses, by its own processes."""
    from benchmarks import full_size  # which needs torch

    folder = copies(scan, count, work / "in")
    bundle = full_size.bundle(Path(".cache"))
    out = work / "out"
    command = [*PREDICT, str(folder), "--bundle", str(bundle.path), "--out", str(out)]
    process = psutil.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    first: tuple[float, float] | None = None
    last = (0.0, 0.0)
    peak, done = 0, 0
    spent_by: dict[int, float] = {}  # a process that has ended keeps what it was last seen with
    while process.poll() is None:
        time.sleep(0.2)
        family = [process, *process.children(recursive=True)]
        held = _look(family, spent_by)
        spent = sum(spent_by.values())
        peak = max(peak, held)
        now = _done(out / "ledger.sqlite")
        if now and first is None:
            first = (time.perf_counter(), spent)
        if now > done:
            done, last = now, (time.perf_counter(), spent)
    assert first is not None, "no scan was answered"
    return {
        "scans": done,
        "cores": cores(),
        "busy": (last[1] - first[1]) / (last[0] - first[0]) / cores(),
        "scans per minute": 60 * (done - 1) / (last[0] - first[0]),
        "peak memory of all processes, GiB": peak / 2**30,
    }


def _look(family: Sequence[psutil.Process], spent_by: dict[int, float]) -> int:
    """Note the processor seconds of the processes that still live; their own memory, bytes."""
    held = 0
    for one in family:
        try:
            times = one.cpu_times()
            spent_by[one.pid] = times.user + times.system
            memory = one.memory_info()  # of its pages one by one it would cost the batch a tenth
            held += memory.rss - memory.shared
        except psutil.NoSuchProcess:
            continue
    return held


def _done(ledger: Path) -> int:
    if not ledger.exists():
        return 0
    with sqlite3.connect(f"file:{ledger}?mode=ro", uri=True) as connection:
        try:
            rows = connection.execute("SELECT count(*) FROM items WHERE state = 'done'").fetchone()
        except sqlite3.OperationalError:  # its tables are just being made
            return 0
    return int(rows[0])
