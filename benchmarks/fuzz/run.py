"""An entry's run: children one after another until the time is up, their findings in one folder."""

from __future__ import annotations

import json
import mmap
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.fuzz.entry import HANG_S, Finding, peak_bytes

_FORM = struct.Struct("<QQ")


class Book:
    """What a child has done, on disk at every moment: it may be ended in the middle of a trial.

    current: the input under trial.
    count: how many trials were begun, and the process' most memory, bytes.
    findings/: an input per defect, and what it did.

    Args:
        folder: made if it is absent; the count goes on from what is there.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        (folder / "findings").mkdir(parents=True, exist_ok=True)
        file = folder / "count"
        if not file.exists():
            file.write_bytes(bytes(_FORM.size))
        with file.open("r+b") as stream:
            self._map = mmap.mmap(stream.fileno(), _FORM.size)

    def begin(self, data: bytes) -> None:
        """A trial begins."""
        (self._folder / "current").write_bytes(data)
        count, peak = _FORM.unpack(self._map[:])
        self._map[:] = _FORM.pack(count + 1, max(peak, peak_bytes()))


def keep(folder: Path, data: bytes, finding: Finding) -> None:
    """Put an input aside; of one defect the shortest."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{finding.name}.bin"
    if file.exists() and file.stat().st_size <= len(data):
        return
    file.write_bytes(data)
    file.with_suffix(".txt").write_text(finding.told + "\n", encoding="utf-8", errors="replace")


def counted(folder: Path) -> tuple[int, int]:
    """Trials begun, and the most memory held, bytes."""
    file = folder / "count"
    if not file.exists():
        return 0, 0
    count, peak = _FORM.unpack(file.read_bytes())
    return int(count), int(peak)


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
            keep(work / "findings", (work / "current").read_bytes(), ended)
            restarts += 1
        trials, peak = counted(work)
        names = sorted(file.name for file in (work / "findings").glob("*.bin"))
        if names:
            shutil.copytree(work / "findings", out / entry, dirs_exist_ok=True)
    return Report(entry, time.monotonic() - start, trials, restarts, peak >> 20, names)


def _child(
    entry: str, work: Path, seconds: float, memory: int, seed: int, corpus: Path | None
) -> Finding | None:
    """Run one; what ended it, if it was a trial."""
    spec = {"entry": entry, "work": str(work), "seconds": seconds, "memory": memory, "seed": seed}
    spec["corpus"] = str(corpus or work / "corpus")
    command = [sys.executable, "-m", "benchmarks.fuzz.child", json.dumps(spec)]
    before = counted(work)[0]
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
    if counted(work)[0] == before:
        raise RuntimeError(f"the entry {entry} does not run: {words}")
    if told:
        return Finding("hang", _innermost(told), told[-6000:])
    return Finding("killed", str(done.returncode), f"exit code {done.returncode}\n{words}")


def _innermost(traces: str) -> str:
    """The first line of the main thread's trace."""
    lines = traces.splitlines()
    start = next((n for n, line in enumerate(lines) if "most recent call first" in line), 0)
    return " ".join(lines[start + 1 : start + 2])
