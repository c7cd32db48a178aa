from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from benchmarks.protocols.scores import draws, figure, interval, score
from benchmarks.protocols.study import Study
from fmtool.task import AGE, SEX

StudyOf = Callable[..., Study]


@pytest.mark.parametrize("task", [AGE, SEX])
def test_the_interval_of_one_system_is_its_scores(task: object, study_of: StudyOf) -> None:
    study = study_of(task, 30, 2)
    rng = np.random.default_rng(0)
    predictions = study.labels + rng.normal(0, 0.6, len(study.rows))
    row = score(study, "x", predictions, np.zeros(len(predictions)))
    low, high = interval(draws(study, [predictions], 1)[:, 0])
    width = row["high"] - row["low"]
    assert figure(study, predictions) == pytest.approx(row["value"])
    assert high == pytest.approx(row["high"], abs=0.3 * width)
    if task is AGE:
        assert low == pytest.approx(row["low"], abs=0.3 * width)
    else:  # an AUC's own interval is skewed: it reaches further from 1
        assert row["low"] < low < row["value"]


def test_systems_are_drawn_together_and_missing_scans_left_out(study_of: StudyOf) -> None:
    study = study_of(AGE, 20)
    first = study.labels + np.random.default_rng(0).normal(0, 3, 20)
    first[:4] = np.nan
    found = draws(study, [first, study.labels + 2 * (first - study.labels)], 0)
    np.testing.assert_allclose(found[:, 1], 2 * found[:, 0])
    assert len(np.unique(found[:, 0])) > 50


def test_repeats_are_resampled_too(study_of: StudyOf) -> None:
    study = study_of(AGE, 12)
    two = np.stack([study.labels + 1.0, study.labels + 3.0])  # errors 1 and 3 for everybody
    found = draws(study, [two], 0)[:, 0]
    assert set(np.round(found, 6)) == {1.0, 2.0, 3.0}
    assert figure(study, two) == pytest.approx(2.0)
