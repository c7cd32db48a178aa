"""How much faster a batch is than the same scans one by one."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.batch import PREDICT
from benchmarks.batch.scans import copies


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
