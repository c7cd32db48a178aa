"""Some scans of a cohort, prepared, for `fmtool export --calibration`."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from fmtool.errors import InputError

COMPARED = 3
"""Scans that join the parity gates: torch takes ten seconds for each, at full size."""

CALIBRATED = 16
"""Scans that INT8 is calibrated on."""

RANGED = 64
"""Scans whose values set the checks' ranges, at most; they may be among the others."""


@dataclass(frozen=True)
class Scans:
    """Volume and mask of each scan, float32 (z, y, x).

    Attributes:
        compared: for the parity gates.
        calibrated: for INT8, none of the others.
        ranges: of the checks, by key; empty where the cohort is too small to tell.
    """

    compared: list[tuple[Any, Any]] = field(default_factory=list)
    calibrated: list[tuple[Any, Any]] = field(default_factory=list)
    ranges: dict[str, list[float]] = field(default_factory=dict)


def volumes(cohort: Path, cache: Path, preprocessing: Path | None, int8: bool) -> Scans:
    """Prepare some scans of a table, taken evenly over it.

    Args:
        cohort: a CSV or a BIDS folder; no labels are needed.
        cache: the folder that `fmtool train` keeps prepared volumes in.
        preprocessing: the bundle that prepares; the demonstration bundle when absent.
        int8: whether to take scans to calibrate on as well.

    Raises:
        InputError: if the table or one of those scans cannot be used, or if there are too few.
    """
    import numpy as np

    from fmtool import bundle as bundles
    from training import cohort as cohorts
    from training.evidence.ranges import ranges
    from training.store.prepare import prepare

    table = cohorts.read(cohort, None)
    if int8 and len(table.rows) < 2:
        raise InputError(
            f"{table.path} lists one scan; --int8 needs one to calibrate on and another to compare"
        )
    last = len(table.rows) - 1
    ranged = _evenly(last, RANGED)
    taken = _evenly(last, COMPARED + CALIBRATED if int8 else COMPARED)
    picked = sorted({*ranged, *taken})
    some = replace(table, rows=[table.rows[i] for i in picked])
    with bundles.open(preprocessing) as opened:
        entries = dict(zip(picked, prepare(some, cache / "volumes", opened), strict=True))
    usual = ranges([entries[i].facts for i in ranged])
    found = [
        (np.asarray(entries[i].volume), np.asarray(entries[i].mask, dtype=np.float32))
        for i in taken
    ]
    if not int8:
        return Scans(found, ranges=usual)
    compared = set(_evenly(len(found) - 1, min(COMPARED, len(found) // 2)))
    return Scans(
        [one for i, one in enumerate(found) if i in compared],
        [one for i, one in enumerate(found) if i not in compared],
        usual,
    )


def _evenly(last: int, count: int) -> list[int]:
    """At most `count` of the numbers from 0 to `last`."""
    import numpy as np

    return sorted({round(i) for i in np.linspace(0, last, count)})
