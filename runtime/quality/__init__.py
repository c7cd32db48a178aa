"""Checks of a scan and of its preprocessing: a value, the range expected, a verdict, a sentence.

A file per check: what is measured, the range of usual heads, the range that is accepted at all, and
what to say. `measure` runs them on a prepared scan; `checks` judges what they measured.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from runtime.quality import (
    border,
    contrast,
    edge,
    field,
    ghosts,
    missing,
    noise,
    orientation,
    outliers,
    registration,
    shape,
    sharpness,
    slices,
    volume,
    voxels,
)
from runtime.quality.check import Check, Kind, Range, Verdict
from runtime.quality.measures import measure
from runtime.quality.stored import refusals

__all__ = ["KINDS", "Check", "Verdict", "checks", "measure", "refusals"]

_ALONE = (field, volume, shape)
_OWN_VOXELS = (edge, noise, sharpness, outliers)

KINDS: tuple[Kind, ...] = tuple(
    module.KIND for module in (orientation, registration, *_ALONE, *_OWN_VOXELS, ghosts, contrast)
)
"""The checks whose range a bundle's cohort sets."""


def checks(
    scan_facts: Mapping[str, Any],
    prepared_facts: Mapping[str, Any],
    calibration: Mapping[str, Sequence[float]],
) -> list[Check]:
    """All checks of one scan.

    Args:
        scan_facts: `Scan.facts`.
        prepared_facts: `Prepared.facts`.
        calibration: the bundle's own ranges, by key, measured on its cohort; each check's own range
            stands in for one that it lacks.
    """

    def expected(key: str) -> Range | None:
        if key not in calibration:
            return None
        low, high = calibration[key]
        return float(low), float(high)

    def value(key: str) -> float:
        found = prepared_facts[key]
        return math.nan if found is None else float(found)

    spacing: Sequence[float] = scan_facts["spacing"]
    problem = str(prepared_facts["registration_problem"])
    tilt, similarity = orientation.KIND.key, registration.KIND.key
    air, tissue = ghosts.KIND.key, contrast.KIND.key
    return [
        voxels.size(spacing),
        voxels.thickness(spacing),
        orientation.check(value(tilt), problem, expected(tilt)),
        registration.check(value(similarity), problem, expected(similarity)),
        border.check(value(border.KEY)),
        slices.KIND.judge(value(slices.KIND.key)),
        missing.check(value(missing.KEY), prepared_facts["head"], value(edge.KIND.key)),
        *(m.KIND.judge(value(m.KIND.key), expected(m.KIND.key)) for m in _ALONE),
        *(
            _resampled(m.KIND)
            if prepared_facts["head"] == "prepared"
            else m.KIND.judge(value(m.KIND.key), expected(m.KIND.key))
            for m in _OWN_VOXELS
        ),
        ghosts.check(value(air), expected(air)),
        contrast.check(value(tissue), expected(tissue)),
    ]


def _resampled(kind: Kind) -> Check:
    """The check of a volume that is not as the scanner gave it: resampled, with another zero."""
    said = "Not judged: the volume was resampled and normalised before it came."
    return Check(kind.name, math.nan, kind.unit, kind.normal, "ok", said)
