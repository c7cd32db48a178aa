"""Parts: the rows that train, validate and test; as the paper keeps them, in a table each."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fmtool.errors import InputError
from fmtool.task import Task
from training import cohort
from training.cohort import Row
from training.cohort.duplicates import same_images

Table = str | os.PathLike[str]


@dataclass(frozen=True)
class Parts:
    """The rows of each part.

    Attributes:
        train: to fit weights on.
        validation: to choose the best epoch by; may be empty.
        test: to report on, once.
        subsets: fraction of the training subjects -> the rows of as many; each holds the smaller.
    """

    train: list[Row]
    validation: list[Row]
    test: list[Row]
    subsets: Mapping[float, list[Row]] = field(default_factory=dict)


def from_tables(
    train: Table, validation: Table, test: Table, task: Task, allow_sites: bool = False
) -> Parts:
    """Read three tables and check that no subject and no image is in two of them.

    Tables of several studies, in which one name may mean two people, need a column `subject` that
    tells them apart.

    Args:
        train: see `training.cohort.read` for what a table may be.
        validation: to choose the best epoch by.
        test: to report on.
        task: whose labels to read.
        allow_sites: accept more than one site within a table.

    Raises:
        InputError: for what `training.cohort.read` refuses, or a subject or image in two tables,
            named with both.
    """
    parts = [cohort.read(table, task, allow_sites) for table in (train, validation, test)]
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
    return Parts(parts[0].rows, parts[1].rows, parts[2].rows)
