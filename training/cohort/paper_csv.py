"""Cohorts as the paper's CSV lists them: image_path, mask_path, label."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from fmtool.errors import InputError
from fmtool.task import Task
from training.cohort import names
from training.cohort.labels import MISSING, LabelColumn, LeftOut, given
from training.cohort.row import UNLABELLED, Lines, Row, Table, no_label_column, read_lines

_FALLBACK = "label"
_SUBJECTS = ("subject", "participant_id")
_SESSIONS = ("session", "session_id")
_SESSION = re.compile(r"(?:^|_)(ses-[A-Za-z0-9]+)")


def rows(table: Table, task: Task | None) -> Lines:
    """The table's rows, paths taken relative to its folder, and what is wrong by line.

    Raises:
        InputError: if a column is missing.
    """
    if "image_path" not in table.columns:
        raise InputError(
            f"{table.path} has no column image_path; it has {', '.join(table.columns)}"
        )
    folder = table.path.parent
    label = _label_column(table, task)
    # Where semicolons divide cells, numbers have a decimal comma.
    read = None if task is None else LabelColumn(task, decimal_comma=table.separator != ",")
    subject, session = (_first(table, names) for names in (_SUBJECTS, _SESSIONS))

    def row(line: int, cells: dict[str, str]) -> Sequence[Row | LeftOut]:
        value = UNLABELLED if read is None else read.label(cells[label])
        for column in filter(None, (subject, "image_path")):
            if not cells[column]:
                raise InputError(f"{column} is empty")
            if cells[column].lower() in MISSING:
                return [LeftOut(f"{column} is {cells[column]!r}")]
        image, mask = _files(folder, cells)
        who = names.person(cells[subject]) if subject else names.subject_of(image) or str(image)
        when = given(cells[session]) if session else session_of(image)
        if isinstance(value, LeftOut):
            return [value]
        told = cells[subject] if subject else ""
        return [Row(who, image, mask, value, given(cells.get("site")), line, when, told)]

    return read_lines(table, row)


def session_of(image: Path) -> str | None:
    """`ses-YY` of the file's name or of the innermost folder that has one."""
    for part in reversed(image.parts):
        if match := _SESSION.search(part):
            return match.group(1)
    return None


def _files(folder: Path, cells: dict[str, str]) -> tuple[Path, Path | None]:
    image, mask = cells["image_path"], given(cells.get("mask_path"))
    pair = folder / image, folder / mask if mask else None
    for file in pair:
        if file is not None and not _there(file):
            raise InputError(f"{file!s:.500} does not exist")
    return pair


def _there(file: Path) -> bool:
    try:
        return file.exists()
    except OSError:  # no file can have such a name
        return False


def _first(table: Table, names: tuple[str, ...]) -> str:
    """The first of `names` that is a column, or an empty string."""
    return next((name for name in names if name in table.columns), "")


def _label_column(table: Table, task: Task | None) -> str:
    if task is None:
        return ""
    found = _first(table, (task.label, _FALLBACK))
    if not found:
        raise no_label_column(table, task, f"{task.label} or {_FALLBACK}")
    return found
