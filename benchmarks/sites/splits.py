"""Twenty controls for calibration and the others for test, over random splits of each site.

Another site's answers are those of the bundle's own head of age. A made site sees every second head
of `ixi_hh`: for that one, and for the site in agreement, a head is fitted on the others.
`benchmarks.sites.embed` makes the answers.

    python -m benchmarks.sites.splits ANSWERS [--splits 200] [--controls 20] [--test 8]
        [--bundle B.fmtool]
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.shared import script
from benchmarks.sites.answers import fitted, load, shipped
from fmtool import bundle as bundles
from fmtool.bundle import DEMO
from runtime.trust.interval import interval
from training.evidence.conformal import LEVEL
from training.evidence.head import Head
from training.site.answers import SiteAnswers
from training.site.calibrate import SiteHead, left_out

HEADS = "ixi_hh"


def one(
    answers: SiteAnswers, head: Head, controls: np.ndarray, test: np.ndarray, seed: int
) -> dict[str, Any]:
    """A split: what the controls carried, and what the test scans say of that."""
    site, others = answers.take(controls.tolist()), answers.take(test.tolist())
    weight, bias, known = head.weight, float(head.bias), head.trust
    values = site.embeddings @ weight + bias
    own = SiteHead(site, weight, bias, values, seed)
    plan = left_out(site.cohort, seed)
    folds = own.folds(plan, [own.correction(train) for train, _ in plan])
    whole = own.correction(np.arange(len(values)))
    truth, before = others.cohort.labels, others.embeddings @ weight + bias
    after = np.array([whole(v) for v in before])
    spans = [interval(folds, x, LEVEL) for x in others.embeddings]
    assert known is not None
    old = [interval(known.folds, x, LEVEL, known.difficulty) for x in others.embeddings]
    return {
        "agrees": float(whole.agrees),
        "kept": whole.kept,
        "before": float(np.abs(truth - before).mean()),
        "after": float(np.abs(truth - after).mean()),
        "offset": float(np.abs(truth - before - (site.cohort.labels - values).mean()).mean()),
        "mean": float(np.abs(truth - site.cohort.labels.mean()).mean()),
        "covered": float(
            np.mean([s.low <= t <= s.high for s, t in zip(spans, truth, strict=True) if s])
        ),
        "covered_before": float(
            np.mean([s.low <= t <= s.high for s, t in zip(old, truth, strict=True) if s])
        ),
        "width": float(np.median([s.high - s.low for s in spans if s])),
    }


def over_splits(
    answers: SiteAnswers, head: Head, splits: int, controls: int, test: int
) -> dict[str, Any]:
    """The means over the splits."""
    random, found = np.random.default_rng(0), []
    for seed in range(splits):
        order = random.permutation(len(answers.cohort.rows))
        found.append(one(answers, head, order[:controls], order[controls : controls + test], seed))
    means = {key: round(float(np.mean([row[key] for row in found])), 4) for key in found[0]}
    values = head(answers.embeddings)
    follows = float(np.corrcoef(values, answers.cohort.labels)[0, 1])
    return {"scans": len(values), "correlation": round(follows, 3), **means}


def main() -> None:
    """Parse, split, print."""
    args = script.options(
        __doc__, "answers", splits=200, controls=20, test=8, bundle=DEMO, json=Path
    )
    heads = load(args.answers, HEADS)
    count = len(heads.cohort.rows)
    first, second = list(range(0, count, 2)), list(range(1, count, 2))
    with bundles.open(args.bundle) as opened:
        cells, own = opened.manifest.encoder.cell_count, shipped(opened)
    half = fitted(heads.take(first), cells).head
    how = (args.splits, args.controls, args.test)
    found = {"same scanner": over_splits(heads.take(second), half, *how)}
    for file in sorted(args.answers.glob("*.jsonl")):
        if file.stem == HEADS:
            continue
        answers = load(args.answers, file.stem)
        if len(answers.cohort.rows) >= args.controls + args.test:
            real = file.stem == "cohort"
            found[file.stem] = over_splits(answers, own if real else half, *how)
    script.tell(found, args.json)


if __name__ == "__main__":
    main()
