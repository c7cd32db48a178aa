"""Whether every input came out where it should."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.soak.feed import Feed
from runtime.ledger import FILE, Ledger
from runtime.ledger.outcomes import counts, outcomes


def check(feed: Feed, out: Path) -> dict[str, Any]:
    """Whether every input came out where it should."""
    problems = []
    values = []
    for name in feed.good:
        path = out / name.removesuffix(".nii") / "result.json"
        try:
            values.append(json.loads(path.read_text())["values"]["age"]["value"])
        except (OSError, ValueError, KeyError):
            problems.append(f"{name} has no answer")
    for name, kind in feed.bad.items():
        note = out / "quarantine" / name.removesuffix(".nii") / "reason.txt"
        if not note.is_file() or not note.read_text().strip():
            problems.append(f"{name} ({kind}) was not put aside with a reason")
    if any(not math.isfinite(v) for v in values) or np.ptp(values or [0.0]) > 0.01:
        problems.append(f"the same head got values from {min(values)} to {max(values)}")
    with Ledger(out / FILE) as ledger:
        states = counts(ledger)
        results = len({row["content"] for row in outcomes(ledger) if "values" in row})
    if results != len(feed.good) or states["done"] != len(feed.good):
        problems.append(f"the ledger says {states}, {results} results")
    return {
        "good": len(feed.good),
        "answered": len(values),
        "bad": len(feed.bad),
        "kinds": dict(Counter(feed.bad.values())),
        "ledger": states,
        "problems": problems,
    }
