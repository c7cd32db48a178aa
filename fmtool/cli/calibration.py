"""Some scans of a cohort, prepared, for `fmtool export --calibration`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

COMPARED = 3
"""Scans that join the parity gates: torch takes ten seconds for each, at full size."""


def volumes(
    cohort: Path, cache: Path, preprocessing: Path | None, count: int = COMPARED
) -> list[tuple[Any, Any]]:
    """Volume and mask, float32 (z, y, x), of up to `count` scans, evenly over the table.

    Args:
        cohort: a CSV or a BIDS folder; no labels are needed.
        cache: the folder that `fmtool train` keeps prepared volumes in.
        preprocessing: the bundle that prepares; the demonstration bundle when absent.
        count: how many.

    Raises:
        InputError: if the table or one of those scans cannot be used.
    """
    import numpy as np

    from fmtool import bundle as bundles
    from training import cohort as cohorts
    from training.prepare import prepare

    table = cohorts.read(cohort, None)
    picked = sorted({round(i) for i in np.linspace(0, len(table.rows) - 1, count)})
    some = replace(table, rows=[table.rows[i] for i in picked])
    with bundles.open(preprocessing) as opened:
        entries = prepare(some, cache / "volumes", opened)
    return [(np.asarray(e.volume), np.asarray(e.mask, dtype=np.float32)) for e in entries]
