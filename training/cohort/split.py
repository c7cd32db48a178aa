"""Splits on disk: which subjects train, validate and test, written once and checked at each use.

A file names subjects, not scans, so that all scans of a subject stay together. It pins the table
that it was made from by SHA-256.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from fmtool import __version__
from fmtool.errors import InputError
from fmtool.files import sha256
from fmtool.task import Task
from runtime.system import atomic
from training import cohort as cohorts
from training.cohort import Cohort, Row, TaskT
from training.cohort.duplicates import same_images

Table = str | os.PathLike[str]

PARTS = ("train", "validation", "test")
FORMAT = 1


@dataclass(frozen=True)
class SplitCohort:
    """A labelled cohort's parts.

    Attributes:
        train: to fit weights on.
        validation: to choose the best epoch by; may be empty.
        test: to report on, once.
        subsets: fraction of the training subjects -> as many; each holds the smaller.
    """

    train: Cohort[Task]
    validation: Cohort[Task]
    test: Cohort[Task]
    subsets: Mapping[float, Cohort[Task]] = field(default_factory=dict)


def from_tables(
    train: Table,
    validation: Table,
    test: Table,
    task: Task,
    allow_sites: bool = False,
    strict: bool = False,
    each_scan_is_a_person: bool = False,
) -> SplitCohort:
    """Read three tables and check that no subject and no image is in two of them.

    Tables of several studies, in which one name may mean two people, need a column `subject` that
    tells them apart.

    Args:
        train: see `training.cohort.read` for what a table may be.
        validation: to choose the best epoch by.
        test: to report on.
        task: whose labels to read.
        allow_sites: accept more than one site within a table.
        strict: see `training.cohort.read`.
        each_scan_is_a_person: see `training.cohort.read`.

    Raises:
        InputError: for what `training.cohort.read` refuses, or a subject or image in two tables,
            named with both.
    """
    said = allow_sites, strict, each_scan_is_a_person
    parts = [cohorts.read(table, task, *said) for table in (train, validation, test)]
    places = [(part.path, row) for part in parts for row in part.rows]
    seen: dict[str, tuple[Path, Row]] = {}
    for path, row in places:
        first, other = seen.setdefault(row.subject.removeprefix("sub-"), (path, row))
        if first != path:
            raise InputError(
                f"subject {row.subject} is in both {first} line {other.line} and {path} line "
                f"{row.line}; keep all of a subject's scans in one of them"
            )
    for later, earlier in same_images([row.image for _, row in places]):
        (path, row), (first, other) = places[later], places[earlier]
        raise InputError(
            f"{row.image.name} on line {row.line} of {path} is the same image as on line "
            f"{other.line} of {first}: who is tested on it has seen it"
        )
    return SplitCohort(parts[0], parts[1], parts[2])


@dataclass(frozen=True)
class SplitFile:
    """What a split's file says.

    Attributes:
        table: the name of the cohort's table.
        table_sha256: of its bytes (of a BIDS folder: participants.tsv).
        task: whose labels were balanced between the parts, or None.
        seed: of the shuffling.
        fractions: of the subjects, per part, as asked for.
        test_sites: the sites that the test part is made of; empty for a random one.
        subjects: per part; one that is its own image's path is relative to the table's folder.
        subsets: fraction, as text -> that fraction of the training subjects.
        version: of the fmtool that made it.
        format: of the file.
    """

    table: str
    table_sha256: str
    task: str | None
    seed: int
    fractions: dict[str, float]
    test_sites: list[str]
    subjects: dict[str, list[str]]
    subsets: dict[str, list[str]]
    version: str = __version__
    format: int = FORMAT


def write(path: str | os.PathLike[str], split: SplitFile) -> None:
    """Write a new file.

    Raises:
        InputError: if it exists, since results may rest on it, or cannot be written.
    """
    if Path(path).exists():
        raise InputError(f"{path} exists, and results may rest on it; name another file")
    atomic.write_bytes(Path(path), (json.dumps(asdict(split), indent=1) + "\n").encode())


def read(path: str | os.PathLike[str], cohort: Cohort[Any]) -> SplitCohort:
    """The parts of the cohort that the file was made for.

    Raises:
        InputError: if it is not a split's file, a subject is in two parts, in none, or not in the
            table, or the table has changed.
    """
    return parted(_of(Path(path), cohort), cohort, str(path))


def without_tested(path: str | os.PathLike[str], cohort: Cohort[TaskT]) -> Cohort[TaskT]:
    """The cohort without those who validate and test, for a training that must not see them.

    Raises:
        InputError: if the file is no split, or one of another table.
    """
    split = _of(Path(path), cohort)
    out = {subject for part in PARTS[1:] for subject in split.subjects[part]}
    return cohort.take(i for i, r in enumerate(cohort.rows) if name_of(r, cohort) not in out)


def _of(path: Path, cohort: Cohort[Any]) -> SplitFile:
    """What a file says, if it is of the cohort's table as it is."""
    split, digest = load(path), sha256(cohort.path)
    if split.table_sha256 != digest:
        raise InputError(
            f"{path} was made from {split.table} as it was then; {cohort.path} has another "
            f"content (SHA-256 {digest[:12]}, not {split.table_sha256[:12]}): split it again"
        )
    return split


def load(path: Path) -> SplitFile:
    """What the file says, checked for its form only.

    Raises:
        InputError: if it is missing or not a split's file.
    """
    try:
        split = SplitFile(**json.loads(path.read_bytes()))
        _check_form(split)
        return split
    except OSError as error:
        raise InputError(f"split {path} cannot be read ({error.strerror}); check it") from None
    except (ValueError, TypeError, RecursionError) as error:
        raise InputError(
            f"{path} is not a split that `fmtool train split` wrote ({error}); make one"
        ) from None


def _check_form(split: SplitFile) -> None:
    if split.format != FORMAT:
        raise ValueError(f"its format is {split.format!r}; this fmtool reads {FORMAT}")
    if not isinstance(split.table_sha256, str):
        raise ValueError("table_sha256 is not a text")
    if not isinstance(split.subjects, dict) or sorted(split.subjects) != sorted(PARTS):
        raise ValueError(f"its parts are not {', '.join(PARTS)}")
    if not isinstance(split.subsets, dict):
        raise ValueError("its subsets are not named")
    if not all(0.0 < float(fraction) < 1.0 for fraction in split.subsets):
        raise ValueError("a subset's fraction is not between 0 and 1")
    for subjects in (*split.subjects.values(), *split.subsets.values()):
        if not isinstance(subjects, list) or not all(isinstance(s, str) for s in subjects):
            raise ValueError("a list of subjects is none")


def parted(split: SplitFile, cohort: Cohort[Any], where: str = "the split") -> SplitCohort:
    """The cohort's parts; `where` names the split in errors."""
    part_of: dict[str, str] = {}
    for part in PARTS:
        for subject in split.subjects[part]:
            if subject in part_of:
                both = f"in both {part_of[subject]} and {part}"
                twice = f"listed twice in {part}" if part_of[subject] == part else both
                raise InputError(f"{where}: subject {subject} is {twice}")
            part_of[subject] = part
    names = {row.subject: name_of(row, cohort) for row in cohort.rows}
    strangers = sorted(part_of.keys() - set(names.values()))
    if strangers:
        raise InputError(f"{where}: subject {strangers[0]} is not in {cohort.path}")
    forgotten = sorted(set(names.values()) - part_of.keys())
    if forgotten:
        raise InputError(f"{where}: subject {forgotten[0]} of {cohort.path} is in no part")
    for fraction, subset in split.subsets.items():
        outside = [subject for subject in subset if part_of.get(subject) != PARTS[0]]
        if outside:
            raise InputError(f"{where}: subject {outside[0]} of subset {fraction} is not in train")

    def chosen(subjects: Sequence[str]) -> Cohort[Any]:
        wanted = set(subjects)
        return cohort.take(i for i, row in enumerate(cohort.rows) if names[row.subject] in wanted)

    train, validation, test = (chosen(split.subjects[part]) for part in PARTS)
    subsets = {float(fraction): chosen(subset) for fraction, subset in split.subsets.items()}
    return SplitCohort(train, validation, test, subsets)


def name_of(row: Row, cohort: Cohort[Any]) -> str:
    """The row's subject; a path in the table's folder without that folder, which may move."""
    folder = cohort.path.parent
    subject = Path(row.subject)
    if row.subject == str(row.image) and subject.is_relative_to(folder):
        return subject.relative_to(folder).as_posix()
    return row.subject
