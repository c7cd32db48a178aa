"""The difference of a brain-age gap between groups, adjusted for age and other covariates.

With gap = predicted - true age of n participants (the mean of their scans), by least squares

    gap = b0 + b1 group + b2 age + c . covariates

and HC3's standard errors (MacKinnon and White, Journal of Econometrics 1985), which need no equal
spread in both groups. Age is always among them: a head regresses to its cohort's mean, so that the
older have lower gaps whatever their group (Le et al. 2018, Frontiers in Aging Neuroscience).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import t as student

from fmtool.errors import InputError
from training.cohort.coded import coded
from training.cohort.labels import given
from training.cohort.row import Table, read_table

LEVEL = 0.95
_FEWEST = 5  # participants of a group

LIMITS = (
    "Not to be concluded from it: that the brains of one group age faster (one visit shows no "
    "course), what causes the difference (medication, motion and scanner move the gap, too), or "
    "anything of one person."
)


@dataclass(frozen=True)
class GapDifference:
    """Of two groups.

    Attributes:
        groups: the reference's name, and the other's.
        counts: participants of each.
        means: mean gap of each, unadjusted, in years.
        difference: the other's gap minus the reference's, adjusted.
        interval: its 95 % interval.
        adjusted_for: age, and the covariates.
        left_out: participants that lack a value.
        in_sample: answers left out because the head had learnt from these very scans.
    """

    groups: tuple[str, str]
    counts: tuple[int, int]
    means: tuple[float, float]
    difference: float
    interval: tuple[float, float]
    adjusted_for: list[str]
    left_out: int
    in_sample: int


def compare(
    answers: Path, table: Path, group: str, covariates: Sequence[str] = (), age: str = "age"
) -> GapDifference:
    """The adjusted difference of the gap between the two groups of a column.

    Args:
        answers: a head's out-of-fold table, or `results.csv` of a batch with a head of age.
        table: of participants, with `participant_id`, the group, the age and the covariates.
        group: the column that parts them in two; the first word in order is the reference.
        covariates: further columns.
        age: the column of the true age.

    Raises:
        InputError: for a file that lacks a column, or groups that are not two of at least five.
    """
    people = read_table(table)
    for name in ("participant_id", group, age, *covariates):
        if name not in people.columns:
            raise InputError(f"{table} has no column {name!r}; it has {', '.join(people.columns)}")
    predicted, in_sample = _predicted(answers, age)
    who = _people(people)
    used = [name for name in (age, *covariates) if name != group]
    rows = [
        (cells[group], predicted[name] - _number(table, age, cells[age]), cells)
        for name, cells in who.items()
        if name in predicted and all(given(cells[n]) for n in (group, *used))
    ]
    if not predicted.keys() & who.keys() and predicted:
        raise InputError(
            f"{answers} and {table} have no participant_id in common, such as "
            f"{min(predicted)!r} and {min(who)!r}; spell them alike"
        )
    words = sorted({row[0] for row in rows})
    if len(words) != 2:
        raise InputError(
            f"{group} has {len(words)} groups among the {len(rows)} participants that were "
            f"answered ({', '.join(words[:5])}); two are compared"
        )
    other = np.array([row[0] == words[1] for row in rows])
    counts = (int((~other).sum()), int(other.sum()))
    if min(counts) < _FEWEST:
        raise InputError(
            f"{min(counts)} participants of one group are too few; {_FEWEST} are needed"
        )
    gap = np.array([row[1] for row in rows])
    known = [coded(name, [row[2][name] for row in rows]) for name in used]
    x = np.column_stack([np.ones(len(rows)), other, *known]).astype(np.float64)
    if np.linalg.matrix_rank(x) < x.shape[1] or len(rows) <= x.shape[1] + 1:
        raise InputError(
            f"{group} cannot be told from {', '.join(used)} in {len(rows)} participants: leave a "
            "covariate out"
        )
    inverse = np.linalg.inv(x.T @ x)
    weights = inverse @ (x.T @ gap)
    leverage = np.einsum("ij,jk,ik->i", x, inverse, x)
    scaled = (gap - x @ weights) / np.maximum(1.0 - leverage, 1e-9)
    covariance = inverse @ ((x * scaled[:, None] ** 2).T @ x) @ inverse
    reach = float(np.sqrt(covariance[1, 1]) * student.ppf(0.5 + LEVEL / 2, len(rows) - x.shape[1]))
    value = float(weights[1])
    return GapDifference(
        (words[0], words[1]),
        counts,
        (float(gap[~other].mean()), float(gap[other].mean())),
        value,
        (value - reach, value + reach),
        used,
        len(who) - len(rows),
        in_sample,
    )


def _number(table: Path, column: str, cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        raise InputError(f"{table}: {column} is {cell!r}, which is not a number") from None


def _people(table: Table) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for line, cells in table.rows:
        name = _name(cells["participant_id"])
        if name in found:
            raise InputError(f"{table.path} line {line}: {name} is listed twice")
        found[name] = cells
    return found


def _predicted(path: Path, age: str) -> tuple[dict[str, float], int]:
    """Each participant's mean answer, and how many answers the head had learnt from."""
    answers = read_table(path)
    own = "predicted" in answers.columns and "set" not in answers.columns  # which classes have
    column = "predicted" if own else f"{age}_predicted"
    if not {"participant_id", column} <= set(answers.columns):
        raise InputError(
            f"{path} is neither the out-of-fold table of a head of age nor a results.csv with "
            f"{age}_predicted"
        )
    rows = [cells for _, cells in answers.rows]
    learnt = [row.get(f"{age}_learnt_from") == "True" for row in rows]
    values: dict[str, list[float]] = {}
    for row, seen in zip(rows, learnt, strict=True):
        if row[column] and not seen:
            number = _number(path, column, row[column])
            values.setdefault(_name(row["participant_id"]), []).append(number)
    return {name: float(np.mean(each)) for name, each in values.items()}, sum(learnt)


def _name(word: str) -> str:
    return word.removeprefix("sub-").casefold()
