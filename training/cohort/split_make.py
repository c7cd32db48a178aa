"""Making splits: by subject, balanced between the parts, from a seed; or by site.

Any contiguous run of `interleaved`'s order has every stratum's share. A stratum is a class, or a
quantile bin of a regression's labels. Within a stratum of m subjects, shuffled, the r-th has the
key (r + u) / m, with one random u in [0, 1) per stratum; sorting all subjects by key interleaves
the strata (systematic sampling with random starts). A run that covers the fraction f of the order
holds f * m subjects of each stratum, give or take one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.random import Generator

from fmtool.errors import InputError, UsageError
from fmtool.files import sha256
from fmtool.task import Task
from training.cohort import Cohort
from training.cohort.split import PARTS, SplitFile, name_of

Fractions = tuple[float, float, float]

FRACTIONS: Fractions = (0.7, 0.15, 0.15)


def make(
    cohort: Cohort[Any],
    fractions: Fractions = FRACTIONS,
    seed: int = 0,
    subsets: Sequence[float] = (),
    test_sites: Sequence[str] = (),
) -> SplitFile:
    """Split a cohort by subject.

    Classes, or quantile bins of the subjects' mean labels, have the same share in every part; so
    they do in every subset of the training part, and each subset holds the smaller ones.

    Args:
        cohort: labelled, or not, in which case nothing is balanced.
        fractions: of the subjects, for training, validation and test; they add up to 1, and that
            of validation may be 0.
        seed: equal seeds give equal splits of equal cohorts.
        subsets: fractions of the training part, for label efficiency.
        test_sites: if any, the test part is these sites' subjects, and the others are divided
            between training and validation in the proportion of their fractions; that of the test
            part is not used.

    Raises:
        UsageError: for fractions that are none.
        InputError: if a part would be empty or lack a class, a site is not in the table, or a
            subject was scanned both inside and outside the test sites.
    """
    _check_fractions(fractions, subsets, bool(test_sites))
    labels: dict[str, list[float]] = {}
    for row in cohort.rows:
        labels.setdefault(name_of(row, cohort), []).append(row.label)
    stratum = strata_of({s: typical(v, cohort.task) for s, v in labels.items()}, cohort.task)
    rng = np.random.default_rng(seed)

    tested = _subjects_at(cohort, test_sites) if test_sites else []
    order = interleaved(sorted(labels.keys() - set(tested)), stratum, rng)
    share = fractions[0] + fractions[1] if test_sites else 1.0
    first = round(fractions[0] / share * len(order))
    second = len(order) if test_sites else round((fractions[0] + fractions[1]) * len(order))
    train, validation = order[:first], order[first:second]
    parts = dict(zip(PARTS, (train, validation, tested or order[second:]), strict=True))
    for part, wanted in zip(PARTS, fractions, strict=True):
        if wanted > 0.0 or part == "test":
            _check_classes(f"the {part} part", parts[part], stratum, cohort.task)

    spread = interleaved(train, stratum, rng)
    chosen = {f"{f:g}": spread[: round(f * len(spread))] for f in sorted(subsets)}
    for fraction, subset in chosen.items():
        _check_classes(f"the subset {fraction}", subset, stratum, cohort.task)
    return SplitFile(
        table=cohort.path.name,
        table_sha256=sha256(cohort.path),
        task=None if cohort.task is None else cohort.task.name,
        seed=seed,
        fractions=dict(zip(PARTS, fractions, strict=True)),
        test_sites=sorted(test_sites),
        subjects={part: sorted(members) for part, members in parts.items()},
        subsets={fraction: sorted(members) for fraction, members in chosen.items()},
    )


def _check_fractions(fractions: Fractions, subsets: Sequence[float], by_site: bool) -> None:
    train, validation, test = fractions
    some = train > 0.0 and validation >= 0.0 and (test > 0.0 or (by_site and test == 0.0))
    if not some or not np.isclose(sum(fractions), 1.0):
        raise UsageError(
            f"fractions are {', '.join(f'{f:g}' for f in fractions)}; those of training, "
            "validation (may be 0) and test are positive and add up to 1"
        )
    wrong = [f for f in subsets if not 0.0 < f < 1.0]
    if wrong:
        raise UsageError(f"a subset's fraction is {wrong[0]:g}; it lies between 0 and 1")


def _subjects_at(cohort: Cohort[Any], sites: Sequence[str]) -> list[str]:
    known = sorted({row.site for row in cohort.rows if row.site is not None})
    for site in sites:
        if site not in known:
            raise InputError(f"{cohort.path} has no site {site!r}; it has {', '.join(known)}")
    inside: dict[str, int] = {}
    outside: dict[str, int] = {}
    for row in cohort.rows:
        if row.site is None:
            raise InputError(
                f"{cohort.path} line {row.line} has no site; a split by site needs every row's"
            )
        (inside if row.site in sites else outside)[name_of(row, cohort)] = row.line
    both = sorted(inside.keys() & outside.keys())
    if both:
        raise InputError(
            f"{cohort.path}: subject {both[0]} was scanned inside and outside the test sites "
            f"(lines {outside[both[0]]} and {inside[both[0]]}); leave one of the two out"
        )
    return sorted(inside)


def _check_classes(
    where: str, subjects: Sequence[str], stratum: Mapping[str, int], task: Task | None
) -> None:
    if not subjects:
        raise InputError(f"{where} would be empty: there are too few subjects for its fraction")
    for value, name in enumerate(task.classes or () if task is not None else ()):
        if not any(stratum[subject] == value for subject in subjects):
            raise InputError(
                f"{where} would hold no subject of class {name}: there are too few for its fraction"
            )


_MOST_BINS = 10
_PER_BIN = 5  # subjects at least, where there are that many


def typical(labels: Sequence[float], task: Task | None) -> float:
    """One label of a subject: the mean over its scans, the class of most, of equals the last, or of
    classes in an order the median, of two the higher."""
    if task is None or not task.several:
        return float(np.mean(labels))
    if task.kind == "ordinal":
        return float(np.quantile(labels, 0.5, method="higher"))
    found, counts = np.unique(labels, return_counts=True)
    return float(found[counts == counts.max()].max())


def strata_of(labels: Mapping[str, float], task: Task | None) -> dict[str, int]:
    """The stratum of each subject.

    Args:
        labels: of each subject, as `typical` gives it.
        task: what they mean; without one, all subjects are of one stratum.
    """
    if task is None:
        return dict.fromkeys(labels, 0)
    values = np.array(list(labels.values()))
    if task.classes is not None:
        strata = np.floor(values + 0.5).astype(int)  # a converter counts as what most scans say
    else:
        bins = min(_MOST_BINS, max(1, len(values) // _PER_BIN))
        edges = np.quantile(values, np.arange(1, bins) / bins)
        strata = np.searchsorted(edges, values, side="right")
    return dict(zip(labels, strata.tolist(), strict=True))


def interleaved(subjects: Sequence[str], strata: Mapping[str, int], rng: Generator) -> list[str]:
    """The subjects in a random order in which every stratum is spread evenly."""
    keys: dict[str, float] = {}
    for stratum in sorted({strata[subject] for subject in subjects}):
        members = [subject for subject in sorted(subjects) if strata[subject] == stratum]
        start = rng.random()
        for rank, member in enumerate(rng.permutation(len(members))):
            keys[members[member]] = (rank + start) / len(members)
    return sorted(keys, key=lambda subject: (keys[subject], subject))
