"""Drift: whether a site's last answers still look like the scans that it was calibrated on.

A bundle's `reference` holds, of n subjects, the mean m and the deviation s of every check's value
(amounts as logarithms). With v the mean of the last k answers' values, kept within `_MOST` s of m,

    t = (v - m) / (s sqrt(1/n + 1/k))                  Student's, n - 1 degrees of freedom

and so for the error of the answers whose truth came later. The normal score of an answer's novelty
is 0 +- 1 of exchangeable scans: of that nothing is estimated, and t is normal. The site is looked
at after every scan for years, by a score of values: each has to be surer than `SURE` to be told.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special, stats

from fmtool import plain_json
from fmtool.bundle import Bundle
from fmtool.errors import BundleError
from runtime.trust.folds import number

FILE = "reference.json"
"""Its usual name inside a bundle."""

LAST = 30
"""Answers that are compared with the calibration."""

FEWEST = 10
"""Answers, and subjects of a reference: fewer say little."""

SURE = 1e-6
"""A two-sided p-value this small is told."""

NOVELTY = "novelty"

_MOST = 4.0  # deviations: one failed scan in thirty is no drift
_LEAST = 0.01  # of the mean: what never varied at the calibration is not infinitely strange since


@dataclass(frozen=True)
class Usual:
    """A value at the calibration: its mean and deviation, of the logarithm where `log`."""

    mean: float
    deviation: float
    log: bool = False

    def scores(self, values: Iterable[float]) -> list[float]:
        """How many deviations each value lies from the mean."""
        found = []
        for value in values:
            if self.log and value <= 0.0:
                found.append(-_MOST)
                continue
            seen = math.log(value) if self.log else value
            spread = max(self.deviation, _LEAST * (1.0 if self.log else abs(self.mean)), 1e-9)
            found.append(min(max((seen - self.mean) / spread, -_MOST), _MOST))
        return found


@dataclass(frozen=True)
class SiteReference:
    """What the calibration's scans looked like.

    Attributes:
        subjects: of the calibration.
        checks: by the check's name.
        errors: truth less value, by task.
    """

    subjects: int
    checks: Mapping[str, Usual]
    errors: Mapping[str, Usual]

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        parts = {"checks": self.checks, "errors": self.errors}
        plain = {
            name: {key: [u.mean, u.deviation, u.log] for key, u in part.items()}
            for name, part in parts.items()
        }
        return {"subjects": self.subjects, **plain}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> SiteReference:
        """The inverse of `to_dict`.

        Raises:
            KeyError, TypeError, ValueError: for data that it did not write.
        """
        checks, errors = (
            {str(k): Usual(number(m), number(s), bool(log)) for k, (m, s, log) in part.items()}
            for part in (data["checks"], data["errors"])
        )
        return cls(int(number(data["subjects"])), checks, errors)


@dataclass(frozen=True)
class Drift:
    """What the last answers look like.

    Attributes:
        answers: how many were looked at.
        drifted: what no longer looks like the calibration, the surest first.
        score: the largest |t| over its bound: above 1 where something drifted.
    """

    answers: int
    drifted: Sequence[str]
    score: float

    def sentence(self) -> str:
        """One line."""
        if not self.drifted:
            return f"The last {self.answers} answers look like the calibration's."
        names = ", ".join(self.drifted)
        return (
            f"The last {self.answers} answers no longer look like the calibration's ({names}): "
            "see what changed at the scanner, and calibrate the site anew."
        )


def usual(values: Sequence[float], log: bool = False) -> Usual | None:
    """A value's mean and deviation; None of fewer than `FEWEST`, or of logarithms of no amount."""
    if len(values) < FEWEST or (log and min(values) <= 0.0):
        return None
    seen = np.log(values) if log else np.asarray(values, dtype=np.float64)
    return Usual(float(seen.mean()), float(seen.std(ddof=1)), log)


def reference(
    checks: Sequence[Mapping[str, float]], errors: Mapping[str, Sequence[float]], subjects: int
) -> SiteReference:
    """What a site's scans look like.

    Args:
        checks: of each scan, the checks' values by name.
        errors: truth less value of each scan, by task.
        subjects: how many the scans are of.
    """
    names = dict.fromkeys(name for scan in checks for name in scan)
    values = {n: [v for scan in checks if (v := scan.get(n)) is not None] for n in names}
    found = {name: usual(some, bool(min(some, default=0.0) > 0.0)) for name, some in values.items()}
    off = {task: usual(list(some)) for task, some in errors.items()}
    return SiteReference(
        subjects,
        {name: one for name, one in found.items() if one is not None},
        {name: one for name, one in off.items() if one is not None},
    )


def look(
    known: SiteReference,
    results: Sequence[Mapping[str, Any]],
    errors: Mapping[str, Sequence[float]] | None = None,
) -> Drift | None:
    """Whether the last answers drifted; None of too few of them, or of too small a reference.

    Args:
        known: of the bundle that gave them.
        results: `Result.to_dict()`, the oldest first; failures are left out.
        errors: truth less value of late, by task, where labels came.
    """
    last = [result for result in results if "values" in result][-LAST:]
    if len(last) < FEWEST or known.subjects < FEWEST:
        return None
    found: dict[str, list[float]] = {}
    for name, one in known.checks.items():
        checks = [c["value"] for r in last for c in r["quality"] if c["name"] == name]
        found[name] = one.scores(v for v in checks if v is not None)
    p = [v for v in (_novelty(r, known.errors) for r in last) if v is not None]
    found[NOVELTY] = Usual(0.0, 1.0).scores(float(special.ndtri(min(v, 1.0 - 1e-9))) for v in p)
    for task, some in (errors or {}).items():
        if task in known.errors:
            found[f"error of {task}"] = known.errors[task].scores(some)
    bounds = dict.fromkeys(found, float(stats.t.isf(SURE / 2.0, known.subjects - 1)))
    bounds[NOVELTY] = float(stats.norm.isf(SURE / 2.0))
    scores = {
        name: abs(float(np.mean(z))) / math.sqrt(1.0 / known.subjects + 1.0 / len(z)) / bounds[name]
        for name, z in found.items()
        if len(z) >= FEWEST
    }
    if np.mean(found[NOVELTY] or [0.0]) > 0.0:  # more usual than the calibration's is no drift
        scores.pop(NOVELTY, None)
    drifted = sorted((n for n in scores if scores[n] > 1.0), key=lambda n: -scores[n])
    return Drift(len(last), drifted, max(scores.values(), default=0.0))


def _novelty(result: Mapping[str, Any], measured: Iterable[str]) -> float | None:
    """An answer's p-value among the site's own scans.

    A child's other heads keep their parent's cohort, which the site's scans may be unlike for ever:
    the head that the site measured counts, or where that is not known the one to which the scan is
    most usual.
    """
    p = {name: v["novelty_p"] for name, v in result["values"].items() if v.get("novelty_p")}
    own = [p[name] for name in measured if name in p]
    return max(own or p.values(), default=result.get("novelty_p"))


def read(bundle: Bundle) -> SiteReference | None:
    """The bundle's reference; None of a bundle without.

    Raises:
        BundleError: if the file is damaged.
    """
    name = bundle.manifest.reference
    if name is None:
        return None
    try:
        return SiteReference.from_dict(plain_json.loads(bundle.read(name)))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise BundleError(
            f"{bundle.file(name)} is damaged ({error}); copy the bundle anew"
        ) from None
