"""Cohort: which scans, of which subjects, with which labels; from a CSV or a BIDS-like folder."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from fmtool.errors import InputError
from fmtool.task import Task
from training.duplicates import duplicates
from training.table import Table, read_table

PARTICIPANTS = "participants.tsv"
_SUBJECT_COLUMNS = ("subject", "participant_id")
_SUBJECT = re.compile(r"sub-[A-Za-z0-9]+")
_LABEL = re.compile(r"(sub-)?[A-Za-z0-9-]+")
_SHOWN = 5


@dataclass(frozen=True)
class Row:
    """One scan with its label.

    Attributes:
        subject: whom it shows; rows of one subject stay together in every split.
        image: a raw scan; a volume on the model's grid where `mask` is given; or a folder.
        mask: the brain mask on the image's grid, or None for a scan that is to be prepared.
        label: a regression's value, or 0 / 1.
        site: where it was scanned, or None where the table does not say.
        line: of the table.
    """

    subject: str
    image: Path
    mask: Path | None
    label: float
    site: str | None
    line: int


@dataclass
class Cohort:
    """A labelled table.

    Attributes:
        path: the table.
        task: what the labels mean.
        rows: in the table's order.
        remarks: sentences that whoever trains on it should see.
    """

    path: Path
    task: Task
    rows: list[Row]
    remarks: list[str] = field(default_factory=list)


def read(path: str | os.PathLike[str], task: Task, allow_sites: bool = False) -> Cohort:
    """Read a labelled cohort and check that all of it can be used.

    Args:
        path: a CSV with the paper's columns `image_path`, `mask_path` (may be empty or absent: a
            raw scan) and `label` (or the task's own label column, which is preferred); paths are
            relative to the CSV's folder. Optional columns: `subject` or `participant_id` (else
            `sub-XX` in the path, else each image is a subject of its own), `site`.
            Or a BIDS-like folder: `participants.tsv` with `participant_id` and the task's label
            column, and T1w files as sub-XX/[ses-YY/]anat/sub-XX_*T1w.nii.gz or sub-XX*_T1w.nii.gz.
        task: whose labels to read.
        allow_sites: accept rows of more than one site. They are refused otherwise: where label and
            site go together, a model learns the scanner.

    Raises:
        InputError: with the line numbers of all that is wrong in the table.
    """
    path = Path(path)
    folder = path if path.is_dir() else path.parent
    bids = path.is_dir() or path.name == PARTICIPANTS
    table = read_table(folder / PARTICIPANTS if bids else path)
    rows, problems = (_bids_rows if bids else _csv_rows)(table, folder, task)
    problems += duplicates([(row.line, row.image) for row in rows])
    if problems:
        shown = "; ".join(f"line {line}: {what}" for line, what in sorted(problems)[:_SHOWN])
        more = f"; and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise InputError(f"{table.path} cannot be used: {shown}{more}")
    if not rows:
        raise InputError(f"{table.path} lists no scans")
    cohort = Cohort(table.path, task, rows, _left_out(folder, rows) if bids else [])
    _check_sites(cohort, allow_sites)
    return cohort


Rows = tuple[list[Row], list[tuple[int, str]]]


def _csv_rows(table: Table, folder: Path, task: Task) -> Rows:
    if "image_path" not in table.columns:
        raise InputError(
            f"{table.path} has no column image_path; it has {', '.join(table.columns)}"
        )
    label = _label_column(table, task, fallback="label")

    def images(cells: dict[str, str]) -> list[tuple[Path, Path | None]]:
        mask = cells.get("mask_path", "")
        image = cells["image_path"]
        if not image:
            raise InputError("image_path is empty")
        pair = folder / image, folder / mask if mask else None
        for file in pair:
            if file is not None and not file.exists():
                raise InputError(f"{file} does not exist")
        return [pair]

    return _rows(table, task, label, images)


def _bids_rows(table: Table, folder: Path, task: Task) -> Rows:
    if "participant_id" not in table.columns:
        raise InputError(f"{table.path} has no column participant_id")
    label = _label_column(table, task)

    def images(cells: dict[str, str]) -> list[tuple[Path, Path | None]]:
        who = cells["participant_id"]
        if not _LABEL.fullmatch(who):
            raise InputError(f"participant_id {who!r} is not a BIDS label of letters and digits")
        found = _t1w(folder, f"sub-{who.removeprefix('sub-')}")
        if not found:
            raise InputError(f"{who} has no T1w file in {folder}")
        return [(file, None) for file in found]

    return _rows(table, task, label, images)


def _rows(
    table: Table,
    task: Task,
    label: str,
    images: Callable[[dict[str, str]], list[tuple[Path, Path | None]]],
) -> Rows:
    rows, problems = [], list(table.problems)
    subject = next((c for c in _SUBJECT_COLUMNS if c in table.columns), None)
    for line, cells in table.rows:
        try:
            value = task.parse_label(cells[label])
            if subject is not None and not cells[subject]:
                raise InputError(f"{subject} is empty")
            for image, mask in images(cells):
                who = cells[subject] if subject is not None else _subject_of(image)
                rows.append(Row(who, image, mask, value, cells.get("site") or None, line))
        except InputError as error:
            problems.append((line, str(error)))
    return rows, problems


def _label_column(table: Table, task: Task, fallback: str | None = None) -> str:
    for column in (task.label, fallback):
        if column in table.columns:
            return str(column)
    wanted = f"{task.label} or {fallback}" if fallback else task.label
    raise InputError(
        f"{table.path} has no column {wanted} for the task {task.name}; "
        f"it has {', '.join(table.columns)}"
    )


def _subject_of(image: Path) -> str:
    """`sub-XX` of the file's name or of the innermost folder that has one; else the path itself."""
    for part in reversed(image.parts):
        if match := _SUBJECT.match(part):
            return match.group()
    return str(image)


def _t1w(folder: Path, name: str) -> list[Path]:
    """The T1w files of the subject `name`, or of all for "sub-*"."""
    places = ("", f"{name}/anat/", f"{name}/ses-*/anat/")
    patterns = (f"{place}{name}_*T1w.nii{end}" for place in places for end in ("", ".gz"))
    return sorted({file for pattern in patterns for file in folder.glob(pattern)})


def _left_out(folder: Path, rows: list[Row]) -> list[str]:
    extra = sorted(set(_t1w(folder, "sub-*")) - {row.image for row in rows})
    if not extra:
        return []
    return [f"{len(extra)} T1w files without a row are left out, such as {extra[0].name}."]


def _check_sites(cohort: Cohort, allow: bool) -> None:
    sites = sorted({row.site or "(none given)" for row in cohort.rows})
    if len(sites) < 2:
        return
    names = ", ".join(sites[:_SHOWN])
    if not allow:
        raise InputError(
            f"{cohort.path} mixes {len(sites)} sites ({names}); where label and site go together "
            "a model learns the scanner: train on one site, or allow several explicitly"
        )
    cohort.remarks.append(f"The rows come from {len(sites)} sites: {names}.")
