"""How far the site alone tells the label: where it does, sites cannot be harmonised honestly.

Of a regression the correlation of the label with its site's mean; of classes the largest AUC of one
class, scored by its share at the site. Both are of the scans that the means are made of, and so a
little too large where sites are small.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fmtool.task import Task
from training.cohort import Cohort
from training.evidence import evaluate
from training.evidence.evaluate import Array

WARN = {"correlation": 0.5, "AUC": 0.75}
"""From these on, whoever harmonises is warned."""


def measure(cohort: Cohort[Task]) -> dict[str, Any]:
    """The "metric", "value" and whether it is "strong", of rows that all have a site."""
    _, own = np.unique([str(row.site) for row in cohort.rows], return_inverse=True)
    mass = evaluate.masses(cohort.subjects)

    def usual(values: Array) -> Array:
        totals = np.bincount(own, values * mass) / np.bincount(own, mass)
        return np.asarray(totals[own])

    y = cohort.labels
    if cohort.task.classes is None:
        metric, value = "correlation", _spread(usual(y), mass) / _spread(y, mass)
    else:
        kinds = [(y == c).astype(np.float64) for c in range(len(cohort.task.classes))]
        metric = "AUC"
        value = max(evaluate.auc(one, usual(one), None, mass) for one in kinds)
    return {"metric": metric, "value": float(value), "strong": bool(value >= WARN[metric])}


def warning(found: dict[str, Any], task: Task) -> str | None:
    """What to tell whoever harmonises; None where the label hardly follows the site."""
    if not found["strong"]:
        return None
    return (
        f"The site alone tells {task.name} with {found['metric']} {found['value']:.2f}: what is "
        "taken for the site's effect may be the label's, and the other way round. Read the figures "
        "of sites left out, not the cross-validated one."
    )


def _spread(values: Array, mass: Array) -> float:
    return float(
        np.sqrt(np.average((values - np.average(values, weights=mass)) ** 2, weights=mass))
    )
