"""Two studies of one task that share nobody: one to train on, one to test on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from benchmarks.protocols.study import Study
from fmtool.errors import InputError


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
