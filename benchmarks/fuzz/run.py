"""An entry's run: children one after another until the time is up, their findings in one folder."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.fuzz import book
from benchmarks.fuzz.guard import HANG_S, Finding

_GRACE_S = 60.0
_LEAST_S = 2.0


@dataclass(frozen=True)
class Report:
    """What came of it.

    Attributes:
        entry: its name.
        seconds: that it ran.
        trials: inputs sent in.
        restarts: children that a trial ended.
        peak_mib: the most memory that a child held, libraries included.
        findings: names of the files in the folder of findings.
    """

    entry: str
    seconds: float
    trials: int
    restarts: int
    peak_mib: int
    findings: list[str]

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def run(
    entry: str,
    seconds: float,
    memory: int,
    out: Path,
    seed: int = 0,
    corpus: Path | None = None,
) -> Report:
    """Fuzz an entry.

    Args:
        entry: one of `entry.NAMES`.
        seconds: for how long.
        memory: bytes that a trial may take beyond what the process held before.
        out: where findings go, in a folder of the entry's name.
        seed: of the random numbers; with atheris a run repeats only roughly.
        corpus: where atheris keeps the inputs that reach new code; in this run alone if absent.
    """
    start, restarts = time.monotonic(), 0
    with tempfile.TemporaryDirectory(prefix="fmtool-fuzz-") as scratch:
        work = Path(scratch)
        while (left := seconds - (time.monotonic() - start)) > _LEAST_S:
            ended = _child(entry, work, left, memory, seed + restarts, corpus)
            if ended is None:
                break
            book.keep(work / "findings", (work / "current").read_bytes(), ended)
            restarts += 1
        trials, peak = book.read(work)
        names = sorted(file.name for file in (work / "findings").glob("*.bin"))
        if names:
            shutil.copytree(work / "findings", out / entry, dirs_exist_ok=True)
    return Report(entry, time.monotonic() - start, trials, restarts, peak >> 20, names)


def _child(
    entry: str, work: Path, seconds: float, memory: int, seed: int, corpus: Path | None
) -> Finding | None:
    """Run one; what ended it, if it was a trial."""
    command = [sys.executable, "-m", "benchmarks.fuzz.child", entry, str(work)]
    command += ["--seconds", str(seconds), "--memory", str(memory), "--seed", str(seed)]
    command += ["--corpus", str(corpus or work / "corpus")]
    before = book.read(work)[0]
    with (work / "said.txt").open("wb") as said:
        try:
            done = subprocess.run(
                command, stdout=said, stderr=said, timeout=seconds + HANG_S + _GRACE_S
            )
        except subprocess.TimeoutExpired:
            return Finding("hang", "no trace", "the child did not end in time")
    if done.returncode == 0:
        return None
    traces = work / "traces.txt"
    told = traces.read_text(encoding="utf-8") if traces.exists() else ""
    words = (work / "said.txt").read_text(encoding="utf-8", errors="replace")[-3000:]
    if book.read(work)[0] == before:
        raise RuntimeError(f"the entry {entry} does not run: {words}")
    if told:
        return Finding("hang", _innermost(told), told[-6000:])
    return Finding("killed", str(done.returncode), f"exit code {done.returncode}\n{words}")


def _innermost(traces: str) -> str:
    """The first line of the main thread's trace."""
    lines = traces.splitlines()
    start = next((n for n, line in enumerate(lines) if "most recent call first" in line), 0)
    return " ".join(lines[start + 1 : start + 2])
