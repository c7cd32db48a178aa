"""Cohort: which scans, of which subjects, with which labels; from a CSV or a BIDS-like folder."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Generic, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from fmtool.errors import InputError
from fmtool.task import Task
from runtime.scan.bids import PARTICIPANTS
from training.cohort import bids, paper_csv
from training.cohort.duplicates import same_images
from training.cohort.row import Problem, Row, read_table

__all__ = ["Cohort", "Row", "read"]

_SHOWN = 5

TaskT = TypeVar("TaskT", bound=Task | None)


@dataclass(frozen=True)
class Cohort(Generic[TaskT]):
    """Scans of a table, whom they show and what their labels mean.

    Attributes:
        path: the table.
        task: what the labels mean; None for a cohort without labels.
        rows: in the table's order.
        remarks: sentences that whoever trains on it should see.
    """

    path: Path
    task: TaskT
    rows: Sequence[Row]
    remarks: list[str] = field(default_factory=list)

    @cached_property
    def labels(self) -> NDArray[np.float64]:
        """(N,): in the task's unit, or 0 and 1; NaN without a task."""
        return np.array([row.label for row in self.rows], dtype=np.float64)

    @cached_property
    def subjects(self) -> list[str]:
        """(N,): whom each scan shows."""
        return [row.subject for row in self.rows]

    def take(self, indices: Iterable[int]) -> Self:
        """Some of the scans, in the order of `indices`."""
        return replace(self, rows=[self.rows[i] for i in indices])

    def relabelled(self, labels: Iterable[float]) -> Self:
        """The same scans with other labels, (N,)."""
        pairs = zip(self.rows, labels, strict=True)
        return replace(self, rows=[replace(row, label=float(label)) for row, label in pairs])


def read(
    path: str | os.PathLike[str],
    task: TaskT,
    allow_sites: bool = False,
    strict: bool = False,
    each_scan_is_a_person: bool = False,
) -> Cohort[TaskT]:
    """Read a cohort and check that all of it can be used.

    Args:
        path: a CSV with the paper's columns `image_path`, `mask_path` (may be empty or absent: a
            raw scan) and `label` (or the task's own label column, which is preferred); paths are
            relative to the CSV's folder. Columns `subject` or `participant_id` (else `sub-XX` in
            the path, or a name as `training.cohort.names` knows it), and optionally `session` or
            `session_id` (else `ses-YY` in the path), `site`.
            Or a BIDS-like folder: `participants.tsv` with `participant_id` and the task's label
            column, and T1w files as sub-XX/[ses-YY/]anat/sub-XX_*T1w.nii.gz or sub-XX*_T1w.nii.gz.
            A label per session, from `sub-XX/sub-XX_sessions.tsv` (or a `sessions.tsv` with
            `participant_id`) that has the task's column, comes before the participant's.
        task: whose labels to read; None to train without labels, for which none are needed.
        allow_sites: accept labelled rows of more than one site. They are refused otherwise: where
            label and site go together, a model learns the scanner.
        strict: refuse rows without a label and participants without a scan, which are left out
            otherwise, with a remark.
        each_scan_is_a_person: accept labelled scans of which nothing says whom they show. They are
            refused otherwise: two scans of one person would be tested by each other.

    Raises:
        InputError: with the line numbers of all that is wrong in the table.
    """
    path = Path(path)
    is_bids = path.is_dir() or path.name == PARTICIPANTS
    table = read_table(path / PARTICIPANTS if path.is_dir() else path)
    rows, problems, left_out, said = (bids if is_bids else paper_csv).rows(table, task)
    if strict:
        problems += left_out
    for later, earlier in same_images([row.image for row in rows]):
        what = f"{rows[later].image.name} is the same image as on line {rows[earlier].line}"
        problems.append((rows[later].line, what))
    if problems:
        shown = "; ".join(f"line {line}: {what}" for line, what in sorted(problems)[:_SHOWN])
        more = f"; and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise InputError(f"{table.path} cannot be used: {shown}{more}")
    remarks = [*said, *_left_out(left_out)]
    if not rows:
        raise InputError(" ".join([f"{table.path} lists no scans that can be used.", *remarks]))
    remarks += _unlisted(table.path.parent, rows) if is_bids else []
    cohort = Cohort(table.path, task, rows, remarks)
    check_people(cohort, allow_sites, each_scan_is_a_person)
    return cohort


def check_people(
    cohort: Cohort[TaskT], allow_sites: bool = False, each_scan_is_a_person: bool = False
) -> None:
    """Refuse labelled scans of several sites, or of nobody knows whom; see `read`.

    Raises:
        InputError: where that is not allowed; where it is, the cohort has a remark.
    """
    _check_sites(cohort, allow_sites or cohort.task is None)
    if cohort.task is not None:
        _check_named(cohort, each_scan_is_a_person)


def _left_out(lines: list[Problem]) -> list[str]:
    if not lines:
        return []
    line, what = lines[0]
    return [f"{len(lines)} left out for want of a value or a scan, such as line {line}: {what}."]


def _unlisted(folder: Path, rows: list[Row]) -> list[str]:
    there = {file for files in bids.t1w(folder).values() for file in files}
    extra = sorted(there - {row.image for row in rows})
    if not extra:
        return []
    return [f"{len(extra)} T1w files without a row are left out, such as {extra[0].name}."]


def _check_named(cohort: Cohort[TaskT], allow: bool) -> None:
    nameless = [row for row in cohort.rows if not row.named]
    if not nameless:
        return
    if not allow:
        raise InputError(
            f"{cohort.path} does not say whom {len(nameless)} of its {len(cohort.rows)} scans show,"
            f" such as {nameless[0].image.name} on line {nameless[0].line}: two scans of one person"
            " would test each other; add a column `subject`, or say --each-scan-is-a-person"
        )
    cohort.remarks.append(f"{len(nameless)} scans are each taken for a person of its own.")


def _check_sites(cohort: Cohort[TaskT], allow: bool) -> None:
    sites = sorted({row.site or "(none given)" for row in cohort.rows})
    if len(sites) < 2:
        return
    names = ", ".join(sites[:_SHOWN])
    if not allow:
        raise InputError(
            f"{cohort.path} mixes {len(sites)} sites ({names}); where label and site go together "
            "a model learns the scanner: train on one site, or say --allow-sites"
        )
    cohort.remarks.append(f"The rows come from {len(sites)} sites: {names}.")
