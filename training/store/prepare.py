"""A cohort's scans as prepared volumes: made once, by the runtime's own preprocessing."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from fmtool import bundle as bundles
from fmtool.bundle import Bundle
from fmtool.errors import InputError, UsageError
from fmtool.progress import scans
from runtime.store import Store
from runtime.store import entry as entries
from runtime.store.entry import StoredScan
from training.cohort import Cohort
from training.cohort.row import Problem
from training.store.prepare_worker import CHECKS, Maker, RowOutcome, in_parallel

_SHOWN = 5

CohortT = TypeVar("CohortT", bound=Cohort[Any])


@dataclass
class CohortOutcome:
    """What preparing a cohort came to.

    Attributes:
        entries: of each row, in order; None of a scan that cannot be prepared.
        problems: line of the table and what is wrong with its scan, in the table's order.
        refused: by the row's position, what is said of scans that a check refuses.
        unusual: likewise, of those that a check warns of.
    """

    entries: list[StoredScan | None]
    problems: list[Problem]
    refused: dict[int, str] = field(default_factory=dict)
    unusual: dict[int, str] = field(default_factory=dict)


def prepare(
    cohort: Cohort[Any],
    folder: str | os.PathLike[str],
    bundle: Bundle | None = None,
    jobs: int = 1,
) -> list[StoredScan]:
    """The store's entry of each row, in order, whatever the checks say; see `usable`.

    Args:
        cohort: rows with a mask are on the model's grid already; the others are raw or stripped.
        folder: of the store.
        bundle: whose networks and template prepare the scans; the demonstration bundle if absent.
        jobs: processes that prepare at once, see `attempt`.

    Raises:
        InputError: naming the scans that cannot be prepared, after all the others were.
        FmtoolError: if the store cannot be written.
        CapabilityError: if a process was ended from outside.
    """
    outcome = attempt(cohort, folder, bundle, jobs)
    _check(cohort, outcome)
    return [entry for entry in outcome.entries if entry is not None]


def usable(
    cohort: CohortT,
    folder: str | os.PathLike[str],
    bundle: Bundle | None = None,
    jobs: int = 1,
    force: bool = False,
    remark: Callable[[str], None] = lambda sentence: None,
) -> tuple[CohortT, list[StoredScan]]:
    """The scans that can be trained on and judged by, and their entries: those that `fmtool
    predict` would answer.

    Args:
        cohort, folder, bundle, jobs: see `prepare`.
        force: keep those that a check refuses.
        remark: told who is left out, and whom a check warns of.

    Raises:
        InputError: as `prepare`, or if nothing is left.
    """
    outcome = attempt(cohort, folder, bundle, jobs)
    _check(cohort, outcome)
    for sentence in told(cohort, outcome, force):
        remark(sentence)
    kept = [i for i in range(len(cohort.rows)) if force or i not in outcome.refused]
    if not kept:
        raise InputError(f"{cohort.path} lists no scan that the checks let pass")
    found = [entry for i in kept if (entry := outcome.entries[i]) is not None]
    return cohort.take(kept), found


def told(cohort: Cohort[Any], outcome: CohortOutcome, force: bool) -> list[str]:
    """A sentence for each scan that a check refuses, and for those that one warns of."""
    what = "Kept, though a check refuses it" if force else "Left out"
    said = [f"{what}, {_named(cohort, i)}: {why}" for i, why in sorted(outcome.refused.items())]
    if outcome.unusual:
        first = min(outcome.unusual)
        said.append(
            f"{len(outcome.unusual)} scans are unusual, such as {_named(cohort, first)}: "
            f"{outcome.unusual[first]} `fmtool train prepare --report` shows them all."
        )
    return said


def _named(cohort: Cohort[Any], position: int) -> str:
    row = cohort.rows[position]
    return f"line {row.line} of {cohort.path.name} ({row.image.name})"


def _check(cohort: Cohort[Any], outcome: CohortOutcome) -> None:
    if outcome.problems:
        said = [f"line {line}: {what}" for line, what in outcome.problems]
        more = f"; and {len(said) - _SHOWN} more" if len(said) > _SHOWN else ""
        raise InputError(
            f"{cohort.path} lists scans that cannot be prepared: "
            f"{'; '.join(said[:_SHOWN])}{more}; take them out of the table"
        )


def attempt(
    cohort: Cohort[Any],
    folder: str | os.PathLike[str],
    bundle: Bundle | None = None,
    jobs: int = 1,
    anew: bool = False,
) -> CohortOutcome:
    """Prepare what the store lacks; a scan that cannot be prepared does not stop the others.

    A run that was ended at any point is taken up where it stopped.

    Args:
        cohort: see `prepare`.
        folder: of the store.
        bundle: see `prepare`.
        jobs: processes that prepare at once, each on its share of the cores. With more than one,
            a script's own statements must be under `if __name__ == "__main__":`.
        anew: verify every byte of what the store has, whatever was verified before.

    Raises:
        UsageError: if `jobs` is less than one.
        FmtoolError: if the store cannot be written.
        CapabilityError: if a process was ended from outside.
    """
    if jobs < 1:
        raise UsageError(f"{jobs} jobs are asked for; at least one is needed")
    with ExitStack() as stack:
        opened = bundle or stack.enter_context(bundles.open())
        store = Store(folder, anew)
        store.tidy()
        made = (
            _in_turn(cohort, stack.enter_context(Maker(store, opened)))
            if jobs == 1
            else in_parallel(cohort.rows, opened.path, Path(folder), anew, jobs)
        )
        stack.enter_context(closing(made))  # so that an interruption ends the processes
        advance = stack.enter_context(scans(len(cohort.rows), "Preparing"))
        outcome = CohortOutcome([None] * len(cohort.rows), [])
        for position, one in made:
            if one.problem:
                outcome.problems.append((cohort.rows[position].line, one.problem))
            else:
                entry = entries.trusted(one.folder)
                outcome.entries[position] = (
                    replace(entry, facts=entry.facts | {CHECKS: one.checks})
                    if one.checks
                    else entry
                )
            if one.refused:
                outcome.refused[position] = one.refused
            elif one.unusual:
                outcome.unusual[position] = one.unusual
            advance()
    outcome.problems.sort()
    return outcome


def _in_turn(cohort: Cohort[Any], maker: Maker) -> Generator[tuple[int, RowOutcome], None, None]:
    for position, row in enumerate(cohort.rows):
        yield position, maker(row)
