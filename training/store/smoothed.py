"""The smoothed maps of prepared scans, kept beside their volumes, and their inner products."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmtool.progress import scans
from runtime.store.entry import StoredScan
from training.cohort.prepared import PreparedScan
from training.evidence import smoothed_scan, soft_tissue
from training.store import kept


def gram(entries: Sequence[PreparedScan]) -> NDArray[np.float64] | None:
    """(N, N), see `soft_tissue.inner_products`; None of more scans than the linear model takes."""
    if len(entries) > smoothed_scan.MOST:
        return None
    maps = []
    with scans(len(entries), "Smoothing") as advance:
        for entry in entries:
            maps.append(_maps(entry))
            advance()
    return soft_tissue.inner_products(maps)


def _maps(entry: PreparedScan) -> NDArray[Any]:
    def make() -> NDArray[np.float16]:
        return soft_tissue.smoothed(entry.volume, entry.mask)

    if not isinstance(entry, StoredScan):
        return make()
    return kept.array(entry.folder / f"smoothed-{soft_tissue.made_by()}.npy", make)
