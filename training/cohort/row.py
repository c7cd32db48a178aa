"""Row: one scan of a cohort, with whom it shows and its label."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fmtool.errors import InputError
from fmtool.task import Task
from training.table import Table

UNLABELLED = float("nan")
"""The label of every row of a cohort that is read without a task."""

Problem = tuple[int, str]
"""Line of the table, and what is wrong there."""


@dataclass(frozen=True)
class Row:
    """One scan with its label.

    Attributes:
        subject: whom it shows; rows of one subject stay together in every split.
        image: a raw scan; a volume on the model's grid where `mask` is given; or a folder.
        mask: the brain mask on the image's grid, or None for a scan that is to be prepared.
        label: a regression's value, or 0 / 1; NaN without a task.
        site: where it was scanned, or None where the table does not say.
        line: of the table.
        session: which visit of the subject, or None where neither table nor path says.
    """

    subject: str
    image: Path
    mask: Path | None
    label: float
    site: str | None
    line: int
    session: str | None = None


def read_lines(
    table: Table, rows_of: Callable[[int, dict[str, str]], list[Row]]
) -> tuple[list[Row], list[Problem]]:
    """The rows of each line by `rows_of(line, cells)`, and the lines in which that failed."""
    rows, problems = [], list(table.problems)
    for line, cells in table.rows:
        try:
            rows += rows_of(line, cells)
        except InputError as error:
            problems.append((line, str(error)))
    return rows, problems


def no_label_column(table: Table, task: Task, wanted: str) -> InputError:
    """The error of a table that lacks the task's labels."""
    return InputError(
        f"{table.path} has no column {wanted} for the task {task.name}; "
        f"it has {', '.join(table.columns)}"
    )
