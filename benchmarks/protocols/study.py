"""Study: prepared scans with labels, and plans that never part the scans of one subject."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fmtool.errors import InputError, UsageError
from fmtool.task import Task
from training import cohort as cohorts
from training.cohort.prepared import PreparedCohort
from training.evidence import splits
from training.store.prepare import prepare

Indices = NDArray[np.intp]

_INNER = 4  # a quarter of what is not tested on chooses the epoch


@dataclass(frozen=True)
class Fold:
    """Indices of a study's scans; no subject is in two parts.

    Attributes:
        train: set the weights.
        validation: choose the epoch; systems that need none fit on these, too.
        test: are predicted.
    """

    train: Indices
    validation: Indices
    test: Indices

    @property
    def fitted(self) -> Indices:
        """Training and validation part together: all whose labels may be used."""
        return np.concatenate((self.train, self.validation))


@dataclass(frozen=True)
class Study(PreparedCohort):
    """A prepared cohort as reports speak of it.

    Attributes:
        name: of the table.
        synthetic: whether the scans were made and show no person.
    """

    name: str = ""
    synthetic: bool = False

    @property
    def sites(self) -> dict[str, Indices]:
        """The scans of each site, by its name; rows without a site are in none."""
        names = np.array([row.site or "" for row in self.rows])
        return {str(name): np.flatnonzero(names == name) for name in np.unique(names) if name}


def read(
    table: Path,
    task: Task,
    cache: Path,
    allow_sites: bool = False,
    jobs: int = 1,
    each_scan_is_a_person: bool = False,
) -> Study:
    """Read a cohort and prepare its scans.

    Args:
        table: a CSV or a BIDS folder, see `training.cohort.read`.
        task: whose labels to read.
        cache: `volumes/` in it keeps the prepared scans.
        allow_sites: accept rows of more than one site.
        jobs: processes that prepare at once.
        each_scan_is_a_person: see `training.cohort.read`.

    Raises:
        InputError: for a table or scans that cannot be used.
        UsageError: for a task of several classes.
    """
    if task.several:
        raise UsageError(f"{task.name} has several classes; the protocols compare two, or values")
    cohort = cohorts.read(table, task, allow_sites, each_scan_is_a_person=each_scan_is_a_person)
    entries = prepare(cohort, cache / "volumes", jobs=jobs)
    path, synthetic = cohort.path, is_synthetic(cohort.path.parent)
    return Study(path, task, cohort.rows, cohort.remarks, entries, path.name, synthetic)


def is_synthetic(folder: Path) -> bool:
    """Whether a folder's dataset_description.json says that its scans show no person."""
    description = folder / "dataset_description.json"
    if not description.is_file():
        return False
    try:
        return bool(json.loads(description.read_text(encoding="utf-8")).get("Synthetic", False))
    except (ValueError, AttributeError) as error:
        raise InputError(f"{description} is no JSON object ({error}); mend it") from None


def folds(study: Study, count: int, seed: int) -> list[Fold]:
    """Cross-validation by subject: every scan is tested once.

    Raises:
        InputError: if the subjects are too few, or too few of one class.
    """
    plan = splits.by_subject(study, count, seed)
    return [inner(study, rest, test, seed) for rest, test in plan]


Plans = Sequence[Sequence[Fold]] | None
"""A cross-validation per repeat; None where one model predicts all."""


def fold_of(study: Study, plans: Plans) -> Indices | None:
    """(repeats, N): which fold tests each scan; -1 where none does."""
    if plans is None:
        return None
    pairs = [[(fold.fitted, fold.test) for fold in plan] for plan in plans]
    return np.stack([splits.fold_of(plan, len(study.rows)) for plan in pairs])


def inner(study: Study, rest: Indices, test: Indices, seed: int) -> Fold:
    """A fold that tests on `test`, with a quarter of `rest`'s subjects as its validation part.

    Raises:
        InputError: if `rest` has too few subjects, or too few of one class.
    """
    train, validation = splits.by_subject(study.take(rest), _INNER, seed)[0]
    return Fold(rest[train], rest[validation], test)
