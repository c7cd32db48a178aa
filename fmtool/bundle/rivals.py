"""Models that know less than a head's network, beside it: how the evidence tells of them.

A head's evidence has `brain_volume` and, from format 1.7, `smoothed_scan`: what each model achieves
in the head's own folds, or null where it was not measured.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

RIVALS = {
    "brain_volume": "brain volume alone",
    "smoothed_scan": "the linear model of the smoothed scan",
}
"""By their keys in a head's evidence, in words."""


BETTER, WORSE, OPEN = "is better", "is worse", "is not shown to be better"
"""How a head compares, by the 95 % interval of the paired difference."""


@dataclass(frozen=True)
class Rival:
    """A model beside a head.

    Attributes:
        name: in words.
        value: its MAE or AUC in the head's folds; None where it was not measured.
        verdict: of the head.
        interval: 95 %, of the head's figure less its own, in the same folds.
    """

    name: str
    value: float | None = None
    verdict: str = OPEN
    interval: tuple[float, float] | None = None


def rivals(evidence: Mapping[str, Any]) -> Iterator[Rival]:
    """What a head is compared with, of one that has a figure; brain volume only where measured."""
    if "value" not in evidence:
        return
    for key, name in RIVALS.items():
        found = evidence.get(key)
        if found:
            low, high = found.get("difference_interval") or (None, None)
            between = None if low is None or high is None else (low, high)
            told = verdict(found, evidence.get("metric") == "MAE")
            yield Rival(name, found["value"], told, between)
        elif key != "brain_volume":
            yield Rival(name)


def unbeaten(evidence: Mapping[str, Any]) -> list[Rival]:
    """Those that were measured and that the head is not shown to be better than."""
    return [r for r in rivals(evidence) if r.value is not None and r.verdict != BETTER]


def verdict(found: Mapping[str, Any], small_is_good: bool) -> str:
    """How a head compares with what was `found` of another by `evidence.against_rival`."""
    if found["head_is_better"]:
        return BETTER
    low, high = found.get("difference_interval") or (0.0, 0.0)
    return WORSE if (low > 0.0 if small_is_good else high < 0.0) else OPEN
