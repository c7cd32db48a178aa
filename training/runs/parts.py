"""Who trains, validates and tests; no torch here, so that what is wrong with it is said at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fmtool import task as tasks
from fmtool.errors import UsageError
from fmtool.task import Task
from training import cohort as cohorts
from training.cohort import Cohort, split
from training.cohort.split import SplitCohort
from training.runs.run import LabelledTask


def parted(table: Path, asked: LabelledTask) -> list[SplitCohort]:
    """The parts for each task, of one table by a split's file, or of three tables.

    Raises:
        InputError: for tables or a split that cannot be used.
        UsageError: for a task that is not there or named twice, or unless one way of parting is
            named, which for several tasks is a split.
    """
    wanted = [tasks.get(name) for name in asked.tasks]
    names = [task.name for task in wanted]
    folded = [name.casefold() for name in names]  # as macOS and Windows take the names of files
    if twice := [name for name in names if folded.count(name.casefold()) > 1]:
        raise UsageError(f"the task {twice[-1]} is named twice; name it once")
    tables = asked.validation, asked.test
    said = asked.allow_sites, asked.strict, asked.each_scan_is_a_person
    if asked.split is not None and tables == (None, None):
        labelled = [cohorts.read(table, task, *said) for task in wanted]
        if len(wanted) == 1:
            return [split.read(asked.split, labelled[0])]
        if (of := split.load(asked.split).task) is not None:
            raise UsageError(
                f"{asked.split} parts those who have a label of {of}; several tasks need everybody "
                "parted: `fmtool train split` without --task"
            )
        # Of all rows: one that has no label of one task may have another's.
        plan = split.read(asked.split, cohorts.read(table, None, *said))
        return [_of_task(plan, cohort) for cohort in labelled]
    if asked.split is None and asked.validation is not None and asked.test is not None:
        if len(wanted) > 1:
            raise UsageError(
                "several tasks need one split of one table: `fmtool train split` without --task, "
                "then --split FILE"
            )
        return [split.from_tables(table, asked.validation, asked.test, wanted[0], *said)]
    raise UsageError(
        "say what validates and what tests: --split FILE of `fmtool train split`, "
        "or both --validation TABLE and --test TABLE"
    )


def _of_task(plan: SplitCohort, cohort: Cohort[Task]) -> SplitCohort:
    """A task's rows, parted as the plan parts everybody."""

    def those(part: Cohort[Any]) -> Cohort[Task]:
        whom = set(part.subjects)
        return cohort.take(i for i, row in enumerate(cohort.rows) if row.subject in whom)

    return SplitCohort(those(plan.train), those(plan.validation), those(plan.test))
