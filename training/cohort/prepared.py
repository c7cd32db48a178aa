"""Prepared scans, as whatever trains on them or judges by them needs them: one, and a cohort's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from fmtool.task import Task
from training.cohort import Cohort


class PreparedScan(Protocol):
    """A prepared scan; `runtime.store.entry.StoredScan` maps its arrays when asked."""

    @property
    def volume(self) -> NDArray[np.float32]:
        """(z, y, x), all scans of one shape."""

    @property
    def mask(self) -> NDArray[np.bool_]:
        """Same shape."""

    @property
    def facts(self) -> dict[str, Any]:
        """With "digest", which names the scan's content."""


@dataclass(frozen=True)
class PreparedCohort(Cohort[Task]):
    """A labelled cohort and its prepared scans, in the order of its rows.

    Attributes:
        entries: (N,).
    """

    entries: Sequence[PreparedScan] = field(default_factory=list)

    def take(self, indices: Iterable[int]) -> Self:
        """Some of the scans, in the order of `indices`."""
        kept = list(indices)
        return replace(super().take(kept), entries=[self.entries[i] for i in kept])

    @property
    def volumes_ml(self) -> NDArray[np.float64]:
        """(N,): each scan's brain volume in mL."""
        return np.array([brain_ml(entry) for entry in self.entries], dtype=np.float64)


def brain_ml(entry: PreparedScan) -> float:
    """Brain volume in mL, from a scan's facts or its mask; the model's voxels are 1 mm^3."""
    known = entry.facts.get("brain_volume_ml")
    return float(np.count_nonzero(entry.mask)) / 1000.0 if known is None else float(known)
