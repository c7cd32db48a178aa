"""Repeatability: how far a head's answers lie apart when the same people are scanned again.

With s the pooled standard deviation within participants, n_i scans each,

    s^2 = sum (x_ij - mean_i)^2 / sum (n_i - 1)          RC = 1.96 sqrt(2) s

and an interval of s by chi-square with sum (n_i - 1) degrees of freedom. Two scans of one person
lie less than RC apart in 95 % of cases (Bland and Altman, Statistical Methods in Medical Research
1999; Raunig et al., the same 2015).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from scipy.stats import chi2

from fmtool.errors import InputError

LEVEL = 0.95
_BOTH = 1.96 * math.sqrt(2.0)


@dataclass(frozen=True)
class Repeatability:
    """Of one answer.

    Attributes:
        participants: that were scanned more than once.
        scans: theirs.
        spread: standard deviation within a participant, in the answer's unit.
        coefficient: two scans of one person lie less than that apart in 95 % of cases.
        low: of the coefficient's 95 % interval.
        high: likewise.
    """

    participants: int
    scans: int
    spread: float
    coefficient: float
    low: float
    high: float

    def to_dict(self) -> dict[str, float]:
        """Plain data."""
        return asdict(self)


def pooled(values: Sequence[float], groups: Sequence[str]) -> tuple[float, int]:
    """The sum of squares within groups of (N,) values, and its degrees of freedom."""
    _, who, count = np.unique(groups, return_inverse=True, return_counts=True)
    x = np.asarray(values, dtype=np.float64)
    squares = (x - (np.bincount(who, x) / count)[who]) ** 2
    return float(squares[count[who] > 1].sum()), int((count - 1).sum())


def repeatability(values: Sequence[float], participants: Sequence[str]) -> Repeatability:
    """Of answers that some people have several of; who has one does not count.

    Args:
        values: (N,), one a scan.
        participants: (N,) whom each scan shows.

    Raises:
        InputError: if nobody was scanned twice.
    """
    _, count = np.unique(participants, return_counts=True)
    again = count > 1
    total, freedom = pooled(values, participants)
    if not freedom:
        raise InputError(
            "no participant has two scans that were answered: repeatability needs repeats of the "
            "same people, by participant_id"
        )
    spread = math.sqrt(total / freedom)
    tail = (1.0 - LEVEL) / 2.0
    ends = (float(chi2.ppf(q, freedom)) for q in (1.0 - tail, tail))
    low, high = (_BOTH * math.sqrt(total / q) for q in ends)
    return Repeatability(
        int(again.sum()), int(count[again].sum()), spread, _BOTH * spread, low, high
    )
