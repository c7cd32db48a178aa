"""Spreading subjects evenly: any contiguous run of the order has every stratum's share.

A stratum is a class, or a quantile bin of a regression's labels. Within a stratum of m subjects,
shuffled, the r-th has the key (r + u) / m, with one random u in [0, 1) per stratum; sorting all
subjects by key interleaves the strata (systematic sampling with random starts). A run that covers
the fraction f of the order holds f * m subjects of each stratum, give or take one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.random import Generator

from fmtool.task import Task

_MOST_BINS = 10
_PER_BIN = 5  # subjects at least, where there are that many


def of(labels: Mapping[str, float], task: Task | None) -> dict[str, int]:
    """The stratum of each subject.

    Args:
        labels: of each subject, the mean over its scans.
        task: what they mean; without one, all subjects are of one stratum.
    """
    if task is None:
        return dict.fromkeys(labels, 0)
    values = np.array(list(labels.values()))
    if task.kind == "binary":
        strata = (values >= 0.5).astype(int)  # a converter counts as what most scans say
    else:
        bins = min(_MOST_BINS, max(1, len(values) // _PER_BIN))
        edges = np.quantile(values, np.arange(1, bins) / bins)
        strata = np.searchsorted(edges, values, side="right")
    return dict(zip(labels, strata.tolist(), strict=True))


def spread(subjects: Sequence[str], strata: Mapping[str, int], rng: Generator) -> list[str]:
    """The subjects in a random order in which every stratum is spread evenly."""
    keys: dict[str, float] = {}
    for stratum in sorted({strata[subject] for subject in subjects}):
        members = [subject for subject in sorted(subjects) if strata[subject] == stratum]
        start = rng.random()
        for rank, member in enumerate(rng.permutation(len(members))):
            keys[members[member]] = (rank + start) / len(members)
    return sorted(keys, key=lambda subject: (keys[subject], subject))
