"""Folds: every row tested once, no subject on both sides."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fmtool.errors import InputError
from fmtool.task import AGE, SEX
from training.cohort import Cohort, Row
from training.evidence import splits

SUBJECTS = [f"s{i // 3}" for i in range(90)]  # three scans each
LABELS = {
    "age": np.random.default_rng(0).uniform(20, 80, 90),
    "sex": np.repeat(np.arange(30) % 3 == 0, 3).astype(float),
}


def cohort(labels, task):
    pairs = enumerate(zip(labels, SUBJECTS, strict=False))
    rows = [Row(who, Path(f"{i}.nii"), None, float(y), None, i) for i, (y, who) in pairs]
    return Cohort(Path("t.csv"), task, rows)


@pytest.mark.parametrize("task", [AGE, SEX], ids=lambda t: t.name)
def test_every_row_is_tested_once_and_subjects_stay_together(task):
    plan = splits.by_subject(cohort(LABELS[task.name], task), folds=5, seed=0)
    assert sorted(np.concatenate([test for _, test in plan])) == list(range(90))
    for train, test in plan:
        assert len(train) + len(test) == 90
        assert not {SUBJECTS[i] for i in train} & {SUBJECTS[i] for i in test}
        if task is SEX:
            assert LABELS["sex"][test].mean() == pytest.approx(1 / 3, abs=0.01)


@pytest.mark.parametrize("task", [AGE, SEX], ids=lambda t: t.name)
def test_seeds(task):
    plans = [splits.by_subject(cohort(LABELS[task.name], task), 5, seed) for seed in (1, 1, 2)]
    tested = [[test.tolist() for _, test in plan] for plan in plans]
    assert tested[0] == tested[1] != tested[2]


def test_too_few_subjects():
    with pytest.raises(InputError, match="3 subjects are too few"):
        splits.by_subject(cohort(np.arange(9.0), AGE), folds=2, seed=0)
    with pytest.raises(InputError, match="2 subjects of class M"):
        splits.by_subject(cohort(np.arange(90) < 6, SEX), folds=5, seed=0)
