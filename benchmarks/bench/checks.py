"""`--check 'latency_p90<4,age_shift<0.5'`: bounds that a run must keep."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from fmtool.errors import UsageError

_BOUND = re.compile(r"\s*([^\s<>=]+)\s*([<>])\s*([^\s<>=]+)\s*")


@dataclass(frozen=True)
class Bound:
    """One figure's limit; the limit itself is not within it."""

    metric: str
    less: bool
    limit: float

    def kept(self, value: float) -> bool:
        """Whether a value is within; NaN never is."""
        return value < self.limit if self.less else value > self.limit

    def __str__(self) -> str:
        return f"{self.metric}{'<' if self.less else '>'}{self.limit:g}"


def parse(text: str, metrics: Collection[str]) -> list[Bound]:
    """Comma-separated `METRIC<NUMBER` or `METRIC>NUMBER`.

    Raises:
        UsageError: for anything else, listing the metrics.
    """
    bounds = []
    for part in text.split(","):
        match = _BOUND.fullmatch(part)
        if match is None:
            raise UsageError(
                f"--check does not understand {part.strip()!r}; write METRIC<NUMBER or "
                "METRIC>NUMBER, separated by commas"
            )
        metric, sign, number = match.groups()
        if metric not in metrics:
            raise UsageError(
                f"--check knows no {metric!r} in this run; it knows {', '.join(metrics)}"
            )
        try:
            limit = float(number)
        except ValueError:
            limit = math.nan
        if not math.isfinite(limit):
            raise UsageError(f"--check needs a number behind {metric}{sign}, not {number!r}")
        bounds.append(Bound(metric, sign == "<", limit))
    return bounds


def missed(bounds: Sequence[Bound], systems: Sequence[dict[str, Any]]) -> list[str]:
    """A sentence per bound and engine that does not keep it; torch is not judged.

    Args:
        bounds: by `parse`.
        systems: of the report.
    """
    sentences = []
    for system in systems:
        for bound in bounds if not system["peer"] else ():
            value = system["metrics"][bound.metric]
            if value is None:
                why = system["reasons"].get(bound.metric, "it was not measured")
                sentences.append(f"{system['name']}: {bound} cannot be told: {why}")
            elif not bound.kept(value):
                sentences.append(f"{system['name']}: {bound} is missed: it is {value:.4g}")
    return sentences
