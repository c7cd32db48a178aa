"""What an INT8 model may shift a head by, and the score that decides which layers stay in float."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from export.graph import BundleGraph, LinearHead
from export.reference import Outputs, Volume
from export.tolerance import int8_shift
from export.verify import compare

TOLERANCE = 3e-2
"""Largest relative difference of the embedding."""

_MARGIN = 0.9
# The score sees single volumes; the gate sees batches too, and may find a little more.


def limits(heads: Sequence[LinearHead]) -> dict[str, float]:
    """Each task's largest shift, in its unit; not of a regression whose error is not known."""
    shifts = {head.task.name: int8_shift(head.task, head.evidence) for head in heads}
    return {name: shift for name, shift in shifts.items() if shift is not None}


class Score:
    """A candidate's worst share of what is allowed, a little stricter than the gate's.

    Args:
        graph: what the model was exported from.
        volumes: prepared volumes and masks that were not calibrated on.
        expected: float32 torch on them.
        allowed: by `limits`.
        every: run every engine that is installed, as the gate does: they round differently, by half
            of what a logit may be shifted. Otherwise the first, which is the quickest.
    """

    def __init__(
        self,
        graph: BundleGraph,
        volumes: Sequence[Volume],
        expected: Sequence[Outputs],
        allowed: dict[str, float],
        every: bool = True,
    ) -> None:
        self._fixed = (graph, volumes, TOLERANCE, (1,), expected, allowed, None if every else 1)

    def __call__(self, model: Path) -> float:
        """The score of an ONNX file; up to 1 it will pass; infinite where it is not finite."""
        found = compare(model, "int8", *self._fixed)
        shares = [difference.share for difference in found]
        return max(share if np.isfinite(share) else np.inf for share in shares) / _MARGIN
