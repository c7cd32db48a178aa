"""Two studies of one task that share nobody, and how far labels and sites go together in them.

One is trained on, the other tested: what could a model learn of the scanner?
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.protocols.study import Study
from fmtool.errors import InputError
from training.evidence import evaluate


def together(source: Study, target: Study) -> Study:
    """Both, the training study first; equal names in the two are of different people."""
    rows = [replace(row, subject=f"1/{row.subject}") for row in source.rows]
    rows += [replace(row, subject=f"2/{row.subject}") for row in target.rows]
    entries = [*source.entries, *target.entries]
    return replace(source, entries=entries, rows=rows)


def check_apart(source: Study, target: Study) -> None:
    """Refuse a scan that is in both.

    Raises:
        InputError: naming it.
    """
    seen = {e.facts["digest"]: r for e, r in zip(source.entries, source.rows, strict=True)}
    for entry, row in zip(target.entries, target.rows, strict=True):
        if entry.facts["digest"] in seen:
            raise InputError(
                f"{row.image} (line {row.line} of {target.name}) is the same scan as "
                f"{seen[entry.facts['digest']].image} of {source.name}; leave it out of one"
            )


def by_site(study: Study, sites: Sequence[str]) -> tuple[Study, Study]:
    """A study without some sites, and those.

    Raises:
        InputError: for a site that is not there, a row without a site, no other site, or a subject
            scanned inside and outside.
    """
    for site in sites:
        if site not in study.sites:
            raise InputError(
                f"{study.name} has no site {site!r}; it has {', '.join(study.sites) or 'none'}"
            )
    for row in study.rows:
        if row.site is None:
            raise InputError(f"{study.name} line {row.line} has no site; every row needs one")
    tested = np.array([row.site in sites for row in study.rows])
    if tested.all():
        raise InputError(
            f"all rows of {study.name} are of the test sites; none is left to train on"
        )
    source, target = (study.take(np.flatnonzero(some)) for some in (~tested, tested))
    both = sorted(set(source.subjects) & set(target.subjects))
    if both:
        raise InputError(
            f"{study.name}: subject {both[0]} was scanned inside and outside the test sites; "
            "leave one of the two out"
        )
    names = [f"{study.name} ({', '.join(one.sites)})" for one in (source, target)]
    return replace(source, name=names[0]), replace(target, name=names[1])


Array = NDArray[np.float64]

ALIKE = 0.6


def tells(labels: Array, others: Array) -> float:
    """The AUC, 0.5 or above, with which a label alone tells two sites' scans apart."""
    where = np.r_[np.zeros(len(labels)), np.ones(len(others))]
    found = evaluate.auc(where, np.r_[labels, others])
    return max(found, 1.0 - found)


def warning(source: Study, target: Study) -> str:
    """One sentence or two on the labels of both, with figures."""
    alike = tells(source.labels, target.labels)
    if source.task.kind == "binary":
        assert source.task.classes is not None
        shares = (float(s.labels.mean()) for s in (source, target))
        one, other = (f"{share:.0%} {source.task.classes[1]}" for share in shares)
    else:
        one, other = (
            f"{s.labels.mean():.1f} +- {s.labels.std():.1f} {s.task.unit}" for s in (source, target)
        )
    told = (
        f"Labels: {one} in {source.name}, {other} in {target.name}; a label alone tells the two "
        f"apart with an AUC of {alike:.2f}."
    )
    if alike <= ALIKE:
        return told
    return (
        f"WARNING: label and site go together. {told} An error out of distribution then mixes "
        "the change of scanner with the change of people, and a model trained on both would learn "
        "the scanner."
    )


def spread_within(study: Study) -> str | None:
    """A warning where several sites of a training study differ in their labels; else None."""
    labels, worst = study.labels, (0.5, "", "")
    names = list(study.sites)
    for i, first in enumerate(names):
        for second in names[i + 1 :]:
            told = tells(labels[study.sites[first]], labels[study.sites[second]])
            worst = max(worst, (told, first, second))
    if worst[0] <= ALIKE:
        return None
    return (
        f"WARNING: within the training scans label and site go together: a label alone tells "
        f"{worst[1]} from {worst[2]} with an AUC of {worst[0]:.2f}; the figure in distribution may "
        "be the scanner's."
    )
