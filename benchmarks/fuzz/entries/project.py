"""Projects' files: `fmtool.project.open`."""

from __future__ import annotations

from pathlib import Path

from benchmarks.fuzz.entries.task import TOML
from benchmarks.fuzz.entry import Entry
from fmtool import project
from fmtool.project.sections import SECTIONS, GeneralPlan
from fmtool.project.write import text


def _seeds() -> list[bytes]:
    plans = {"": GeneralPlan("a", "heads", ("age",))} | {n: k() for n, k in SECTIONS.items() if n}
    return [text(plans).encode(), b'name = "a"\ncohort = "b"\ntasks = ["sex"]\n[split]\nseed = 1\n']


def _trial(data: bytes, folder: Path) -> None:
    (folder / project.FILE).write_bytes(data)
    found = project.open(folder)
    _ = found.bundle, found.cohort, found.head_files, found.encoder


ENTRY = Entry(_seeds, _trial, TOML)
