"""AUC, MAE and the bootstrap against sklearn and naive loops."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from training.evidence import evaluate


@pytest.mark.parametrize("decimals", [6, 1])  # with one decimal there are many ties
def test_auc_against_sklearn_and_pairs(decimals):
    rng = np.random.default_rng(0)
    truth = (rng.random(80) < 0.3).astype(float)
    score = np.round(rng.normal(size=80) + truth, decimals)
    pairs = [
        1.0 if a > b else 0.5 if a == b else 0.0
        for a in score[truth == 1]
        for b in score[truth == 0]
    ]
    assert evaluate.auc(truth, score) == pytest.approx(np.mean(pairs))
    assert evaluate.auc(truth, score) == pytest.approx(roc_auc_score(truth, score))


def test_auc_of_one_class_is_nan():
    assert np.isnan(evaluate.auc(np.ones(4), np.arange(4.0)))


def test_mae_against_a_loop():
    truth, predicted = np.array([1.0, 2.0, 4.0]), np.array([1.5, 0.0, 4.0])
    expected = sum(abs(t - p) for t, p in zip(truth, predicted, strict=True)) / 3
    assert evaluate.mae(truth, predicted) == pytest.approx(expected)


def test_interval_is_that_of_the_mean():
    values = np.random.default_rng(0).normal(10.0, 2.0, 400)
    low, high = evaluate.interval(lambda i: float(values[i].mean()), [str(i) for i in range(400)])
    half = 1.96 * values.std() / 20
    assert low == pytest.approx(values.mean() - half, abs=0.03)
    assert high == pytest.approx(values.mean() + half, abs=0.03)


def test_interval_resamples_subjects_not_rows():
    values = np.repeat(np.random.default_rng(0).normal(0.0, 1.0, 30), 20)
    by_subject = evaluate.interval(
        lambda i: float(values[i].mean()), [str(i // 20) for i in range(600)]
    )
    by_row = evaluate.interval(lambda i: float(values[i].mean()), [str(i) for i in range(600)])
    width = [high - low for low, high in (by_subject, by_row)]
    assert width[0] > 3 * width[1]


def test_interval_is_seeded():
    values = np.arange(20.0)
    subjects = [str(i) for i in range(20)]
    runs = [evaluate.interval(lambda i: float(values[i].mean()), subjects, s) for s in (1, 1, 2)]
    assert runs[0] == runs[1] != runs[2]
