"""Check: a value, the range expected, a verdict, a sentence."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

Verdict = Literal["ok", "warn", "refuse"]
Range = tuple[float, float]

ANY: Range = (-math.inf, math.inf)
"""What is accepted by a check that never refuses."""


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


@dataclass(frozen=True)
class Kind:
    """What a check is about.

    Attributes:
        name: of the check.
        key: of the value among `Prepared.facts`, and of its range in a bundle's calibration.
        unit: of the value.
        normal: the range expected where the bundle has none of its own.
        accepted: outside, the scan is refused.
        digits: after the point, in sentences.
        fine: the sentence of a value in its range.
        low: the sentence of one below it; "{}" stands for the value and the range. Empty where
            no value is too low.
        high: the sentence of one above it, likewise.
        ratio: whether twice and half are as far apart as each other, as of amounts; not of angles
            and correlations.
    """

    name: str
    key: str
    unit: str
    normal: Range
    accepted: Range
    digits: int
    fine: str
    low: str
    high: str
    ratio: bool = True

    def bounded(self, low: float, high: float) -> Range:
        """A cohort's range as this check can use it: open where nothing is wrong, and such that a
        scan is warned of before it is refused."""
        least, most = self.accepted
        return (
            max(low, least) if self.low else self.normal[0],
            min(high, most) if self.high else self.normal[1],
        )

    def judge(self, value: float, normal: Range | None = None) -> Check:
        """The check of a value; one that is not a number is refused unless any is accepted.

        Args:
            value: what was measured.
            normal: the bundle's own range.
        """
        expected = normal or self.normal
        verdict = judge(value, expected, self.accepted)
        said = self.fine
        if verdict != "ok":
            text = self.high if value > expected[1] else self.low
            said = text.format(numbers(value, expected, self.digits, self.unit))
        return Check(self.name, value, self.unit, expected, verdict, said)


_SAID = ("mL", "mm", "°", "%")  # units that a sentence needs; the others are in the table
_MOST_DIGITS = 6


def judge(value: float, normal: Range, accepted: Range = ANY) -> Verdict:
    """The verdict of a value; no number is never in a range."""
    if accepted != ANY and not accepted[0] <= value <= accepted[1]:
        return "refuse"
    return "ok" if normal[0] <= value <= normal[1] else "warn"


def numbers(value: float, expected: Range, digits: int, unit: str = "") -> str:
    """ "375 mL, expected 900 to 2000"; more digits where the value would be printed as a bound."""
    while digits < _MOST_DIGITS and any(
        value != bound and f"{value:.{digits}f}" == f"{bound:.{digits}f}" for bound in expected
    ):
        digits += 1
    low, high = (f"{bound:.{digits}f}" for bound in expected)
    text = f"{value:.{digits}f}{'' if unit in ('°', '%') else ' '}{unit if unit in _SAID else ''}"
    return f"{text.strip()}, expected {low} to {high}"
