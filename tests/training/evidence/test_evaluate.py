"""AUC, MAE and the bootstrap against sklearn and naive loops."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from fmtool.task import SEX
from training import evidence
from training.cohort import Cohort, Row
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


def test_only_pairs_of_one_fold_count():
    rng = np.random.default_rng(0)
    truth = (rng.random(60) < 0.4).astype(float)
    score, fold = np.round(rng.normal(size=60) + truth, 1), rng.integers(0, 4, 60)
    pairs = [
        1.0 if score[i] > score[j] else 0.5 if score[i] == score[j] else 0.0
        for i in np.flatnonzero(truth == 1)
        for j in np.flatnonzero(truth == 0)
        if fold[i] == fold[j]
    ]
    assert evaluate.auc(truth, score, fold) == pytest.approx(np.mean(pairs))
    assert evaluate.auc(truth, score + 100.0 * fold, fold) == pytest.approx(np.mean(pairs))
    assert np.isnan(evaluate.auc(truth, score, np.arange(60)))


@pytest.mark.parametrize(("value", "ones", "zeros"), [(1.0, 6, 6), (0.5, 20, 20), (0.0, 5, 9)])
def test_limits_of_an_auc_have_a_width_and_hold_it(value, ones, zeros):
    low, high = evaluate.auc_limits(value, ones, zeros)
    assert 0.0 <= low <= value <= high <= 1.0
    assert high - low > 0.2
    wide = evaluate.auc_limits(value, ones * 10, zeros * 10)
    assert wide[1] - wide[0] < high - low


def heads_of(rng, count, signal, folds=5, repeats=2, features=6):
    """Out-of-fold scores of least squares, which scan is in which fold, labels, and the truth."""
    y = (np.arange(count) % 2).astype(float)
    x = rng.normal(size=(count, features))
    x[:, 0] += signal * y
    fold = np.empty((repeats, count), dtype=np.intp)
    scores = np.empty((repeats, count))
    for r in range(repeats):
        for c in (0, 1):
            members = rng.permutation(np.flatnonzero(y == c))
            fold[r, members] = np.arange(len(members)) % folds
        for k in range(folds):
            train = fold[r] != k
            full = np.c_[x, np.ones(count)]
            w = np.linalg.lstsq(full[train], y[train], rcond=None)[0]
            scores[r, ~train] = full[~train] @ w
    w = np.linalg.lstsq(np.c_[x, np.ones(count)], y, rcond=None)[0][:-1]
    return y, scores, fold, norm.cdf(signal * w[0] / np.linalg.norm(w) / np.sqrt(2))


@pytest.mark.parametrize("signal", [0.0, 1.5, 3.0])
def test_an_aucs_intervals_cover_and_noise_scores_chance(signal):
    rng, held, values, truths = np.random.default_rng(1), [], [], []
    for _ in range(80):
        y, scores, fold, truth = heads_of(rng, 40, signal)
        rows = [Row(f"s{i}", Path(f"{i}"), None, v, None, i) for i, v in enumerate(y)]
        cohort = Cohort(Path("t.csv"), SEX, rows)
        found = evidence.against_constant(cohort, scores, np.zeros_like(scores), fold)
        low, high = found["interval"]
        held.append(low <= truth <= high)
        values.append(found["value"])
        truths.append(truth)
    assert np.mean(held) >= 0.9
    assert np.mean(values) == pytest.approx(np.mean(truths), abs=0.04)


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
