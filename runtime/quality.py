"""Checks of a scan and of its preprocessing: a value, the range expected, a verdict, a sentence."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from runtime.contrast import contrast
from runtime.geometry import THICK_MM, thick

__all__ = ["Check", "checks", "contrast"]

Verdict = Literal["ok", "warn", "refuse"]
Range = tuple[float, float]

ADULT_BRAIN_ML: Range = (900.0, 2000.0)
"""Adult brain volumes with their sulcal CSF; infants lie below."""

SIMILARITY: Range = (0.28, 1.0)
"""Correlation with the template where both have brain: 39 adults' T1-weighted heads of three sites
lie from 0.30 to 0.63. `register.rigid` gives up below 0.24 itself."""

CONTRAST: Range = (0.7, 2.5)
"""See `runtime.contrast`: adults' T1-weighted heads lie from 1.0 to 1.7."""

MOST_AT_BORDER = 0.002
"""Fraction of the brain on the image's faces: about 15 cm2 of it cut off."""

_NOT_T1W = 0.3  # contrast; T2w, CT, EPI and infants lie below


@dataclass(frozen=True)
class Check:
    """One check.

    Attributes:
        name: a few words.
        value: what was measured.
        unit: of `value` and `range`.
        range: the smallest and the largest value that are expected.
        verdict: "ok", "warn" (the result may be poor) or "refuse" (it would mean nothing).
        sentence: what that says, and what to do about it.
    """

    name: str
    value: float
    unit: str
    range: Range
    verdict: Verdict
    sentence: str

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as JSON and the report hold it; a value that is not finite becomes None."""
        value = self.value if math.isfinite(self.value) else None
        return asdict(self) | {"value": value, "range": list(self.range)}


def checks(
    scan_facts: Mapping[str, Any],
    prepared_facts: Mapping[str, Any],
    calibration: Mapping[str, Sequence[float]],
) -> list[Check]:
    """All checks of one scan.

    Args:
        scan_facts: `Scan.facts`.
        prepared_facts: `Prepared.facts`.
        calibration: the bundle's own ranges of "brain_volume_ml", "similarity" and "contrast",
            measured on its cohort; the ranges above stand in for those it lacks.
    """

    def expected(name: str, default: Range) -> Range:
        low, high = calibration.get(name, default)
        return float(low), float(high)

    return [
        _voxels(scan_facts["spacing"]),
        _border(float(prepared_facts["mask_at_border"])),
        _volume(
            float(prepared_facts["brain_volume_ml"]), expected("brain_volume_ml", ADULT_BRAIN_ML)
        ),
        _registration(
            float(prepared_facts["similarity"]),
            str(prepared_facts["registration_problem"]),
            expected("similarity", SIMILARITY),
        ),
        _contrast(float(prepared_facts["contrast"]), expected("contrast", CONTRAST)),
    ]


def _voxels(spacing: Sequence[float]) -> Check:
    sentence = thick(spacing)
    return Check(
        "Voxel size",
        max(spacing),
        "mm",
        (0.0, THICK_MM),
        "warn" if sentence else "ok",
        sentence or "The voxels are small enough.",
    )


def _border(value: float) -> Check:
    fine = value <= MOST_AT_BORDER
    return Check(
        "Brain at the image's border",
        100.0 * value,
        "%",
        (0.0, 100.0 * MOST_AT_BORDER),
        "ok" if fine else "warn",
        "The whole brain is in the image."
        if fine
        else f"{100 * value:.2g} % of the brain lies on the image's border: part of it may be cut "
        "off; check that the scan covers the whole head.",
    )


def _volume(value: float, expected: Range) -> Check:
    fine = _within(value, expected)
    return Check(
        "Brain volume",
        value,
        "mL",
        expected,
        "ok" if fine else "warn",
        "The brain volume is usual for an adult."
        if fine
        else f"The brain volume is unusual for an adult ({value:.0f} mL, expected "
        f"{expected[0]:.0f} to {expected[1]:.0f}): check the mask, and that this is no child.",
    )


def _registration(value: float, problem: str, expected: Range) -> Check:
    fine = _within(value, expected)
    failed = bool(problem) or not math.isfinite(value)
    what = (
        f"failed ({problem or 'no similarity'})"
        if failed
        else (
            f"is unusual (similarity {value:.2f}, expected {expected[0]:.2f} to {expected[1]:.2f})"
        )
    )
    return Check(
        "Registration",
        value,
        "correlation",
        expected,
        "refuse" if failed else "ok" if fine else "warn",
        "The brain lies on the template as expected."
        if fine and not failed
        else f"The registration to the template {what}: check the orientation and that this is a "
        "whole T1-weighted head.",
    )


def _contrast(value: float, expected: Range) -> Check:
    fine = _within(value, expected)
    foreign = not value >= _NOT_T1W  # also for a value that is no number
    return Check(
        "T1 contrast",
        value,
        "SD",
        expected,
        "refuse" if foreign else "ok" if fine else "warn",
        f"White matter is not brighter than grey matter (contrast {value:.2f}, expected "
        f"{expected[0]:.2f} to {expected[1]:.2f}): this looks like another kind of scan "
        "(T2-weighted, CT, functional, an infant's); name an adult's T1-weighted one."
        if foreign
        else "White matter is brighter than grey matter, as in a T1-weighted scan."
        if fine
        else f"The contrast of white and grey matter is unusual ({value:.2f}, expected "
        f"{expected[0]:.2f} to {expected[1]:.2f}): check the sequence, noise and motion.",
    )


def _within(value: float, expected: Range) -> bool:
    return expected[0] <= value <= expected[1]
