"""Whether every input came out where it should."""

from __future__ import annotations

import json
import math
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.soak.feed import Feed


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
    with sqlite3.connect(out / "ledger.sqlite") as ledger:
        states = dict(ledger.execute("SELECT state, count(*) FROM items GROUP BY state"))
        (results,) = ledger.execute("SELECT count(*) FROM results").fetchone()
        (whole,) = ledger.execute("PRAGMA integrity_check").fetchone()
    if results != len(feed.good) or states.get("done") != len(feed.good) or whole != "ok":
        problems.append(f"the ledger says {states}, {results} results, {whole}")
    return {
        "good": len(feed.good),
        "answered": len(values),
        "bad": len(feed.bad),
        "kinds": dict(Counter(feed.bad.values())),
        "ledger": states,
        "problems": problems,
    }
