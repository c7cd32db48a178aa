"""What a child has done, on disk at every moment: it may be ended in the middle of a trial.

current      the input under trial
count        how many trials were begun
peak         the process' most memory, bytes
findings/    an input per defect, and what it did
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path

from benchmarks.fuzz.guard import Finding, peak_bytes

_FORM = struct.Struct("<QQ")


class Book:
    """The folder of a child.

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

    def end(self, data: bytes, finding: Finding | None) -> None:
        """A trial is over."""
        if finding is not None:
            keep(self._folder / "findings", data, finding)


def keep(folder: Path, data: bytes, finding: Finding) -> None:
    """Put an input aside; of one defect the shortest."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{finding.name}.bin"
    if file.exists() and file.stat().st_size <= len(data):
        return
    file.write_bytes(data)
    file.with_suffix(".txt").write_text(finding.told + "\n", encoding="utf-8", errors="replace")


def read(folder: Path) -> tuple[int, int]:
    """Trials begun, and the most memory held, bytes."""
    file = folder / "count"
    if not file.exists():
        return 0, 0
    count, peak = _FORM.unpack(file.read_bytes())
    return int(count), int(peak)
