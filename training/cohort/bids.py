"""Cohorts as BIDS-like folders: participants.tsv, the sessions' tables, T1w files beside them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from fmtool.errors import InputError
from fmtool.task import Task
from runtime.scan.bids import echo, heads
from runtime.scan.nifti import ENDINGS
from training.cohort import names
from training.cohort.labels import MISSING, LabelColumn, LeftOut, column, given
from training.cohort.paper_csv import session_of
from training.cohort.row import (
    UNLABELLED,
    Lines,
    Row,
    Table,
    no_label_column,
    read_lines,
    read_table,
)

SESSIONS = "sessions.tsv"
_LABEL = re.compile(r"(sub-)?[A-Za-z0-9-]+")


def rows(table: Table, task: Task | None) -> Lines:
    """The rows of each participant's scans, and what is wrong by line of participants.tsv.

    A sessions' table with the task's column says what each session's label is, such as the age at
    the scan: the subject's own `sub-XX/sub-XX_sessions.tsv` before a `sessions.tsv` of all.

    Raises:
        InputError: if a column is missing, or `sessions.tsv` cannot be used.
    """
    if "participant_id" not in table.columns:
        raise InputError(f"{table.path} has no column participant_id")
    folder = table.path.parent
    common = _common_sessions(folder, task)
    of_all = task is not None and task.label in table.columns
    if task is not None and not of_all and not common and not _any_session_labels(folder, task):
        raise no_label_column(table, task, task.label)

    files_of = t1w(folder)
    own = None if task is None else column(table.path, task)

    def of_participant(line: int, cells: dict[str, str]) -> Sequence[Row | LeftOut]:
        who = cells["participant_id"]
        if who.lower() in MISSING:
            return [LeftOut(f"participant_id is {who!r}")]
        if not _LABEL.fullmatch(who):
            raise InputError(f"participant_id {who!r} is not a BIDS label of letters and digits")
        name = f"sub-{who.removeprefix('sub-')}"
        files = files_of.get(name, [])
        person = who
        if not files:  # not BIDS's names, yet as plain: the participant's own
            files = [f for f in (folder / f"{who}_T1w{end}" for end in ENDINGS) if f.is_file()]
            person = names.person(who)
        if not files:
            return [
                LeftOut(
                    f"{who} has no T1w file in {folder / name} (BIDS: anat/{name}_T1w.nii.gz); for "
                    "scans that lie otherwise write a CSV with image_path, subject and the label"
                )
            ]
        site = given(cells.get("site"))
        by_session = _own_sessions(folder, name, task)
        if by_session is None:
            by_session = common.get(name)
        found: list[Row | LeftOut] = []
        for file in files:
            session = session_of(file.relative_to(folder))
            label: float | LeftOut = UNLABELLED
            if task is not None and by_session is not None:
                label = _of_session(by_session, session, file, task)
            elif own is not None and of_all:
                label = own.label(cells[own.task.label])
            elif task is not None:
                raise InputError(f"{who} has no {task.label} in any sessions' table")
            if isinstance(label, LeftOut):
                found.append(label)
            else:
                found.append(Row(person, file, None, label, site, line, session, told=who))
        return found

    read = read_lines(table, of_participant)
    remarks = [own.remark] if own is not None and own.remark else []
    if table.separator != "\t":
        name = {",": "commas", ";": "semicolons"}[table.separator]
        remarks.append(f"{table.path.name} divides its cells by {name}, not by tabs: read so.")
    return read._replace(remarks=remarks)


def t1w(folder: Path) -> dict[str, list[Path]]:
    """The folder's T1-weighted files by subject, such as "sub-01", in order."""
    found: dict[str, list[Path]] = {}
    flat = [path for path in folder.glob("sub-*_*") if echo(path.name) is not None]
    for file in [*flat, *heads(folder)]:
        place = file.relative_to(folder).parts[0].split("_")[0]
        if file.name.split("_")[0] in (place, file.name):  # itself where it is a folder
            found.setdefault(place, []).append(file)
    return {name: sorted(files) for name, files in found.items()}


BySession = dict[str, tuple[str, str, LabelColumn]]
"""Session, such as "ses-1" -> its cell of the task's column, where that is, and how it is read."""


def _of_session(
    by_session: BySession, session: str | None, file: Path, task: Task
) -> float | LeftOut:
    if session is None or session not in by_session:
        raise InputError(
            f"{file.name} belongs to {session or 'no session'}, but the sessions' tables give "
            f"{task.label} for {', '.join(by_session)} only"
        )
    cell, where, said = by_session[session]
    try:
        label = said.label(cell)
        return LeftOut(f"{where}: {label.why}") if isinstance(label, LeftOut) else label
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def _own_sessions(folder: Path, name: str, task: Task | None) -> BySession | None:
    path = folder / name / f"{name}_{SESSIONS}"
    table = _sessions_table(path, task, ("session_id",)) if path.exists() else None
    if table is None or task is None:
        return None
    by_session: BySession = {}
    said = column(path, task)
    for line, cells in table.rows:
        _add(by_session, cells, path, line, said)
    return by_session


def _common_sessions(folder: Path, task: Task | None) -> dict[str, BySession]:
    path = folder / SESSIONS
    needed = ("participant_id", "session_id")
    table = _sessions_table(path, task, needed) if path.exists() else None
    if table is None or task is None:
        return {}
    by_subject: dict[str, BySession] = {}
    said = column(path, task)
    for line, cells in table.rows:
        name = f"sub-{cells['participant_id'].removeprefix('sub-')}"
        _add(by_subject.setdefault(name, {}), cells, path, line, said)
    return by_subject


def _add(
    by_session: BySession, cells: dict[str, str], path: Path, line: int, said: LabelColumn
) -> None:
    session = f"ses-{cells['session_id'].removeprefix('ses-')}"
    where = f"{path.name} line {line}"
    if session in by_session:
        raise InputError(f"{where}: {session} is listed twice")
    by_session[session] = cells[said.task.label], where, said


def _sessions_table(path: Path, task: Task | None, needed: tuple[str, ...]) -> Table | None:
    """The table, if it has the task's labels."""
    table = read_table(path)
    if task is None or task.label not in table.columns:
        return None
    missing = [name for name in needed if name not in table.columns]
    if missing:
        raise InputError(f"{path} has no column {missing[0]}")
    if table.problems:
        line, what = table.problems[0]
        raise InputError(f"{path} line {line}: {what}")
    return table


def _any_session_labels(folder: Path, task: Task) -> bool:
    return any(
        task.label in read_table(path).columns for path in folder.glob(f"sub-*/sub-*_{SESSIONS}")
    )
