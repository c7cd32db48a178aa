"""A site left out: how a head does where it has learnt from nobody.

Of each site, the head that is fitted on all the others answers its scans; people who were scanned
at both are left out of the fitting. Cross-validated figures of several sites are of heads that know
each of them, and say little of another scanner. Beside each site's figure stands the one answer
that is best for that very site: a head that only tells the sites apart does no better.

Scores of two sites are by two heads: pooled, areas and indices are counted within sites.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fmtool.errors import InputError
from fmtool.task import Task
from training import evidence
from training.cohort import Cohort
from training.evidence.conformal import said as answer_of
from training.evidence.difficulty import Affine
from training.evidence.evaluate import Array, Indices
from training.evidence.head import Linear
from training.harmonise import Harmoniser

Answering = Callable[[Indices, Indices], Array]
"""From rows to fit on and rows of one site to those rows' predictions, (n,) or (n, K)."""

NOWHERE = "(none given)"
"""The site of rows that name none."""

_TOLD = (
    "metric",
    "unit",
    "value",
    "interval",
    "baseline",
    "baseline_name",
    "difference_interval",
    "beats_baseline",
    "balanced_accuracy",
)


@dataclass(frozen=True)
class AnswersLeftOut:
    """What heads say of the scans of sites that they have not seen.

    Attributes:
        rows: (n,) positions of the scans that have an answer.
        predictions: (n,) values or logits; (n, K) of K classes, or steps.
        site: (n,) the number of each one's site.
        told: for the evidence: "sites" and "pooled".
    """

    rows: Indices
    predictions: Array
    site: Indices
    told: dict[str, Any]


def sites_of(cohort: Cohort[Task]) -> list[str]:
    """(N,): where each row was scanned."""
    return [row.site or NOWHERE for row in cohort.rows]


def left_out(
    x: Array, cohort: Cohort[Task], affine: Affine, harmoniser: Harmoniser | None = None
) -> dict[str, Any] | None:
    """How linear heads do at sites that they have not seen; None of a cohort of one site.

    Args:
        x: (N, F) embeddings.
        cohort: the same scans.
        affine: fits a head.
        harmoniser: of the cohort, for heads on harmonised embeddings.

    Returns:
        "sites" and "pooled", see `leave_one_out`. Of heads on harmonised embeddings they are for
        scans of the left-out site as they are, since nothing is known of it; then "without" is what
        heads on embeddings as they are reach there, see `evidence.against_rival`, and "own_scans"
        has the figures once the site's scans are harmonised by other unlabelled ones of it.
    """

    def plain(train: Indices, test: Indices) -> Array:
        return answer_of(x[test], *affine(x[train], cohort.take(train)))

    if harmoniser is None:
        found = leave_one_out(cohort, plain)
        return found.told if found else None
    known = harmoniser

    def head(train: Indices) -> Linear:
        seen = known.estimated(x, train)(x[train], [known.sites[i] for i in train])
        return affine(seen, cohort.take(train))

    def unknown(train: Indices, test: Indices) -> Array:
        return answer_of(x[test], *head(train))

    def by_own_scans(train: Indices, test: Indices) -> Array:
        return answer_of(known.without_labels(x, train, test), *head(train))

    found, rival = leave_one_out(cohort, unknown), leave_one_out(cohort, plain)
    if found is None:
        return None
    told = {**found.told, "without": None}
    if rival is not None and np.array_equal(rival.rows, found.rows) and told["pooled"]:
        told["without"] = evidence.against_rival(
            cohort.take(found.rows),
            found.predictions[None],
            rival.predictions[None],
            found.site[None],
        )
    own = leave_one_out(cohort, by_own_scans)
    return {**told, "own_scans": own.told if own else None}


def leave_one_out(cohort: Cohort[Task], answering: Answering) -> AnswersLeftOut | None:
    """Judge a way of fitting heads by sites that are left out; None of a cohort of one site.

    Args:
        cohort: of N rows.
        answering: fits on some rows and answers others.

    Returns:
        Figures as `evidence.against_constant` gives them, of each site under "sites" with its
        "site", "n" and "n_subjects", and over all of them under "pooled". A site with too few
        people for a figure has "too_small", which says why; pooled, they count all the same. A site
        without which the others are too few has no answers.
    """
    own, who = np.asarray(sites_of(cohort)), np.asarray(cohort.subjects)
    names = np.unique(own)
    if len(names) < 2:
        return None
    found, answers, answered, baseline = [], [], [], []
    for name in names.tolist():
        test = np.flatnonzero(own == name)
        here = cohort.take(test)
        one = {"site": name, "n": len(test), "n_subjects": len(set(here.subjects))}
        found.append(one)
        train = np.flatnonzero((own != name) & ~np.isin(who, np.unique(who[test])))
        try:
            evidence.check_enough(cohort.take(train), "a head of the other sites")
            said = answering(train, test)
        except InputError as error:
            one["too_small"] = f"without it, {error}"
            continue
        known = np.full(len(test), evidence.constant(here))
        answers.append(said)
        answered.append(test)
        baseline.append(known)
        try:
            evidence.check_enough(here, "a figure")
        except InputError as error:
            one["too_small"] = str(error)
            continue
        one |= _told(evidence.against_constant(here, said[None], known[None]), cohort.task, "the")
    told: dict[str, Any] = {"sites": found, "pooled": None}
    if not answers:
        return None
    rows, said = np.concatenate(answered), np.concatenate(answers)
    site = np.searchsorted(names, own[rows])
    part = cohort.take(rows)
    try:
        evidence.check_enough(part, "a figure")
    except InputError:  # each site says why
        return AnswersLeftOut(rows, said, site, told)
    figures = evidence.against_constant(
        part, said[None], np.concatenate(baseline)[None], site[None]
    )
    if np.isfinite(figures["value"]):  # not where no site has two classes
        told["pooled"] = _told(figures, cohort.task, "each")
    return AnswersLeftOut(rows, said, site, told)


def _told(figures: dict[str, Any], task: Task, whose: str) -> dict[str, Any]:
    """What is kept of a figure; a regression's constant is named for what it is."""
    kept = {name: figures[name] for name in _TOLD if name in figures}
    if task.kind == "regression":
        kept["baseline_name"] = f"{whose} site's own median"
    return kept
