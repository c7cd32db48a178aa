"""How soon a change at the scanner is told, and how often one is told that is none.

A run draws 20 of the first half of `ixi_hh` for the calibration; its stream is drawn, with
replacement, from the second half: 1,000 scans as they are, looked at after every tenth, or 30 as a
made scanner sees the same heads, after as many as they are. `benchmarks.sites.embed` makes them.

    python -m benchmarks.sites.drifts ANSWERS [--runs 100] [--controls 20] [--scans 1000]
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.shared import script
from benchmarks.sites.answers import load
from benchmarks.sites.embed import FROM, MADE
from runtime.trust import drift
from runtime.trust.novelty import Novelty
from training.evidence import novelty
from training.site.answers import SiteAnswers

_EVERY = 10  # scans between two looks at a stream without drift


def results(answers: SiteAnswers, shape: Novelty | None) -> list[dict[str, Any]]:
    """A site's answers as a ledger has them, with the novelty that a calibration gives them."""
    return [
        {
            "values": {},
            "novelty_p": shape.p_value(x) if shape else None,
            "quality": [{"name": name, "value": v} for name, v in checks.items()],
        }
        for x, checks in zip(answers.embeddings, answers.checks, strict=True)
    ]


def main() -> None:
    """Parse, draw, look, print."""
    args = script.options(__doc__, "answers", runs=100, controls=20, scans=1000, json=Path)
    heads = load(args.answers, FROM)
    count = len(heads.cohort.rows)
    first, same = heads.take(list(range(0, count, 2))), heads.take(list(range(1, count, 2)))
    sites = {n: load(args.answers, n) for n in MADE if (args.answers / f"{n}.jsonl").exists()}
    alarms, noticed, what = 0, Counter[str](), Counter[str]()
    for run in range(args.runs):
        random = np.random.default_rng(run)
        order = random.permutation(len(first.cohort.rows))[: args.controls].tolist()
        site = first.take(order)
        shape = novelty.fit(site.embeddings, site.cohort.subjects, run)
        known = drift.reference(site.checks, {}, args.controls)
        plain = results(same, shape)
        stream = [plain[i] for i in random.integers(len(plain), size=args.scans)]
        for end in range(drift.LAST, args.scans + 1, _EVERY):
            found = drift.look(known, stream[end - drift.LAST : end])
            if found is not None and found.drifted:
                alarms += 1
                what[f"false: {found.drifted[0]}"] += 1
                break
        for name, answers in sites.items():
            changed = results(answers, shape)
            stream = [changed[i] for i in random.integers(len(changed), size=drift.LAST)]
            found = drift.look(known, stream)
            if found is not None and found.drifted:
                noticed[name] += 1
                what[f"{name}: {found.drifted[0]}"] += 1
    script.tell(
        {
            "false alarms over the scans, share of runs": alarms / args.runs,
            "noticed within 30, share of runs": {n: noticed[n] / args.runs for n in sites},
            "by": dict(what.most_common()),
        },
        args.json,
    )


if __name__ == "__main__":
    main()
