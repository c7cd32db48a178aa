"""What ComBat does to the errors of probes, on embeddings with a planted effect of label and site.

A standardised label moves 40 features along one axis; each of 5 sites of 40 people moves them by 2
of their deviations and multiplies what neither explains by about 0.7 to 1.3. Laws:

* "own way": each site moves the features in its own direction;
* "gain": the same, and it multiplies the label's effect, too;
* "one axis": all sites move them along one axis, from one to the next;
* "older": as the first, each site's people 10 years older than the last's, which is one deviation
  of the label within a site;
* "nothing": sites that do nothing.

MAE in years:

    cv           of known sites, cross-validated over five folds
    left out     of sites that heads of the others answer as they come
    own scans    the same, once a site is harmonised by the other half of its scans, unlabelled

of heads on embeddings as they are (plain) and harmonised, the mean over draws.

    python -m benchmarks.harmonising [--draws 5] [--json FILE]
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.shared import script
from fmtool.task import AGE, Task
from training import probe
from training.cohort import Cohort, Row
from training.evidence import conformal, sites, splits
from training.harmonise import Harmoniser

Array = NDArray[np.float64]

FEATURES, SITES, EACH = 40, 5, 40

_FOLDS = 5

LAWS: dict[str, dict[str, float]] = {
    "own way": {"apart": 2.0, "stretch": 0.3},
    "gain": {"apart": 2.0, "gain": 0.3},
    "one axis": {"along": 2.0, "stretch": 0.3},
    "older": {"apart": 2.0, "stretch": 0.3, "older": 1.0},
    "nothing": {},
}


def drawn(
    seed: int,
    apart: float = 0.0,
    along: float = 0.0,
    older: float = 0.0,
    stretch: float = 0.0,
    gain: float = 0.0,
) -> tuple[Array, Cohort[Task]]:
    """Embeddings and their cohort.

    Args:
        seed: of the draw.
        apart: how far each site moves the features, each in its own direction.
        along: how far each moves them along one axis from where the one before does.
        older: by how many deviations of the label each site's people lie above the last's.
        stretch: the deviation of the logarithm of what each multiplies the rest by, and
        gain: of what it multiplies the label's effect and the rest by.
    """
    rng = np.random.default_rng(seed)
    which = np.repeat(np.arange(SITES), EACH)
    step = which - (SITES - 1) / 2
    level = rng.normal(size=len(which)) + older * step
    x = level[:, None] * (0.5 * rng.normal(size=FEATURES))
    x += np.exp(stretch * rng.normal(size=SITES))[which, None] * rng.normal(size=x.shape)
    x *= np.exp(gain * rng.normal(size=SITES))[which, None]
    x += apart * rng.normal(size=(SITES, FEATURES))[which]
    x += along * step[:, None] * rng.normal(size=FEATURES)
    rows = [
        Row(f"p{i}", Path(f"{i}.nii"), None, 50 + 10 * float(a), f"S{k}", i + 2)
        for i, (a, k) in enumerate(zip(level, which, strict=True))
    ]
    return x, Cohort(Path("made.csv"), AGE, rows)


def cross_validated(x: Array, cohort: Cohort[Task], by_site: Harmoniser | None) -> float:
    """The MAE of known sites."""
    plan = splits.by_subject(cohort, _FOLDS, 0)
    predicted = np.empty(len(x))
    for train, test in plan:
        seen = x if by_site is None else by_site.estimated(x, train)(x, by_site.sites)
        weight, bias = probe.fit_affine(seen[train], cohort.take(train))
        predicted[test] = conformal.said(seen[test], weight, bias)
    return float(np.abs(predicted - cohort.labels).mean())


def trial(x: Array, cohort: Cohort[Task]) -> dict[str, float]:
    """The five figures of one draw."""
    by_site = Harmoniser(cohort)
    told = sites.left_out(x, cohort, probe.fit_affine, by_site)
    assert told is not None
    return {
        "cv, plain": cross_validated(x, cohort, None),
        "cv, harmonised": cross_validated(x, cohort, by_site),
        "left out, plain": told["without"]["value"],
        "left out, harmonised": told["pooled"]["value"],
        "own scans, harmonised": told["own_scans"]["pooled"]["value"],
    }


def measure(draws: int) -> dict[str, dict[str, Any]]:
    """The mean of each figure over draws, by law."""
    found = {}
    for name, law in LAWS.items():
        each = [trial(*drawn(seed, **law)) for seed in range(draws)]
        found[name] = {key: float(np.mean([one[key] for one in each])) for key in each[0]}
    return found


def main() -> None:
    """Measure, print JSON, and keep it where asked."""
    args = script.options(__doc__, draws=5, json=Path)
    script.tell(measure(args.draws), args.json)


if __name__ == "__main__":
    main()
