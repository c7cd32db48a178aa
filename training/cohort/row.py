"""Row: one scan of a cohort, with whom it shows and its label."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from fmtool.errors import InputError
from fmtool.task import Task
from training.cohort.labels import LeftOut

_MAX_BYTES = 256 << 20
_LONGEST = 200  # letters of a column's name


@dataclass
class Table:
    """A table as text.

    Attributes:
        path: the file.
        columns: names of the header, stripped.
        rows: line number and stripped cells by column; blank lines are left out.
        problems: line number and what is wrong, of rows with too many or too few cells.
        separator: of its cells.
    """

    path: Path
    columns: list[str]
    rows: list[tuple[int, dict[str, str]]]
    problems: list[tuple[int, str]]
    separator: str = ","


def need(path: Path, columns: Sequence[str]) -> None:
    """See that a table has all of some covariates' columns.

    Raises:
        InputError: naming one that it lacks, and those it has; or as `read_table`.
    """
    there = read_table(path).columns if columns else ()
    missing = [name for name in columns if name not in there]
    if missing:
        raise InputError(
            f"{path} has no column {missing[0]!r} to be a covariate; it has {', '.join(there)}"
        )


def read_table(path: Path) -> Table:
    """Read a table with a header line; commas, semicolons or tabs separate cells, as it shows.

    Raises:
        InputError: if it is missing, not text, or has no usable header.
    """
    if not path.is_file():
        raise InputError(
            f"{path} does not exist or is not a file; a cohort is a CSV, or a folder with its "
            "participants.tsv"
        )
    if path.stat().st_size > _MAX_BYTES:
        raise InputError(f"{path} is larger than {_MAX_BYTES >> 20} MiB: not a cohort's table")
    rows, problems = [], []
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            separator = _separator(path, stream.readline(_LONGEST * _LONGEST))
            stream.seek(0)
            reader = csv.reader(stream, delimiter=separator)
            columns = [name.strip() for name in next(reader, [])]
            for cells in reader:
                if not any(cell.strip() for cell in cells):
                    continue
                if len(cells) != len(columns):
                    what = f"{len(cells)} cells under {len(columns)} columns"
                    problems.append((reader.line_num, what))
                    continue
                stripped = (cell.strip() for cell in cells)
                rows.append((reader.line_num, dict(zip(columns, stripped, strict=True))))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is not a table of UTF-8 text ({error}); save it as one") from None
    if not any(columns):
        raise InputError(f"{path} is empty; a cohort's table starts with its column names")
    if max(map(len, columns)) > _LONGEST:
        raise InputError(f"{path} has a column name of more than {_LONGEST} letters; shorten it")
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if twice:
        raise InputError(f"{path} has two columns called {twice[0]!r}; rename one")
    return Table(path, columns, rows, problems, separator)


def _separator(path: Path, header: str) -> str:
    """That which divides the header into most columns; spreadsheets write semicolons and tabs.

    A TSV's is the tab wherever it has one; some are written with the others all the same.
    """
    if path.suffix == ".tsv" and "\t" in header:
        return "\t"
    return max(
        (",", ";", "\t"), key=lambda mark: len(next(csv.reader([header], delimiter=mark), []))
    )


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
        told: whom it shows as the table spells it, which tables are merged by; empty where the
            table does not say.
    """

    subject: str
    image: Path
    mask: Path | None
    label: float
    site: str | None
    line: int
    session: str | None = None
    told: str = ""

    @property
    def named(self) -> bool:
        """Whether table or path say whom it shows; else the scan is a subject of its own."""
        return self.subject != str(self.image)


class Lines(NamedTuple):
    """A table's rows, what is wrong in it, and what is left out because a value is missing."""

    rows: list[Row]
    problems: list[Problem]
    left_out: list[Problem]
    remarks: Sequence[str] = ()


def read_lines(
    table: Table, rows_of: Callable[[int, dict[str, str]], Sequence[Row | LeftOut]]
) -> Lines:
    """The rows of each line by `rows_of(line, cells)`, and the lines in which that failed."""
    read = Lines([], list(table.problems), [])
    for line, cells in table.rows:
        try:
            for row in rows_of(line, cells):
                if isinstance(row, LeftOut):
                    read.left_out.append((line, row.why))
                else:
                    read.rows.append(row)
        except InputError as error:
            read.problems.append((line, str(error)))
    return read


class NoLabelColumn(InputError):
    """A table that lacks a task's labels altogether."""


def no_label_column(table: Table, task: Task, wanted: str) -> NoLabelColumn:
    """The error of a table that lacks the task's labels."""
    return NoLabelColumn(
        f"{table.path} has no column {wanted} for the task {task.name}; "
        f"it has {', '.join(table.columns)}"
    )
