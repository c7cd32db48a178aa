"""A cohort's usual values of everything that the checks measure: the bundle's own ranges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from runtime.quality import KINDS

FEWEST = 8
"""With fewer scans no range is measured: the checks' own stay."""

_TAIL = 0.01  # of the scans on either side do not count: a cohort has its failures
_WIDENED = 0.5  # of the cohort's width, on either side: it has seen few scans, and one scanner


def ranges(facts: Sequence[Mapping[str, Any]]) -> dict[str, list[float]]:
    """The range of each check's value in a cohort, widened by half its width on either side.

    Amounts are widened by factors, angles and correlations by differences. A range never goes
    beyond what a check accepts at all, so that scans are warned of before they are refused.

    Args:
        facts: of each prepared scan; a value that some scans lack is measured on the others.

    Returns:
        Low and high by the check's key, as `runtime.quality.checks` takes them.
    """
    found = {}
    for kind in KINDS:
        values = np.array([float(f[kind.key]) for f in facts if f.get(kind.key) is not None])
        values = values[np.isfinite(values)]
        if len(values) < FEWEST:
            continue
        low, high = np.quantile(values, (_TAIL, 1.0 - _TAIL))
        found[kind.key] = list(kind.bounded(*_widened(float(low), float(high), kind.ratio)))
    return found


def _widened(low: float, high: float, ratio: bool) -> tuple[float, float]:
    if ratio and low > 0.0:
        factor = (high / low) ** _WIDENED
        return low / factor, high * factor
    margin = _WIDENED * (high - low)
    return low - margin, high + margin
