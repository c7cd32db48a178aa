"""Whom a head was fitted or tested on."""

from __future__ import annotations

from typing import Any

import numpy as np

from fmtool.task import Task
from training.cohort import Cohort


def describe(cohort: Cohort[Task]) -> dict[str, Any]:
    """Scans, subjects, range and quartiles of labels, sites; plain JSON data."""
    labels, rows = cohort.labels, cohort.rows
    return {
        "n": len(rows),
        "n_subjects": len(set(cohort.subjects)),
        "label_range": [float(min(labels)), float(max(labels))],
        "label_quartiles": [float(q) for q in np.quantile(labels, (0.25, 0.5, 0.75))],
        "sites": sorted({row.site for row in rows if row.site is not None}),
    }


def sentence(sample: dict[str, Any], task: Task) -> str:
    """The same in words."""
    people = f"{sample['n']} scans of {sample['n_subjects']} subjects"
    if sample["n"] > sample["n_subjects"]:
        people += ", who count once each,"
    where = f" from {', '.join(sample['sites'])}" if sample["sites"] else ""
    if task.classes is not None:
        return people + where
    low, high = sample["label_range"]
    return f"{people}{where}, {task.name} {low:g} to {high:g} {task.unit}"
