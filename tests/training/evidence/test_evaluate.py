"""AUC, MAE and the bootstrap against sklearn and naive loops."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from fmtool.errors import InputError
from fmtool.task import AGE, SEX
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
def test_an_aucs_interval_has_a_width_and_holds_it(value, ones, zeros):
    low, high = evaluate.auc_interval(value, 0.0, ones, zeros)
    assert 0.0 <= low <= value <= high <= 1.0
    assert high - low > 0.2
    many = evaluate.auc_interval(value, 0.0, ones * 10, zeros * 10)
    assert many[1] - many[0] < high - low
    wider = evaluate.auc_interval(0.8, 0.15, 20, 20)
    assert np.ptp(wider) > np.ptp(evaluate.auc_interval(0.8, 0.07, 20, 20))


def test_influences_are_what_leaving_a_scan_out_changes():
    rng = np.random.default_rng(0)
    truth, fold = (np.arange(60) % 2).astype(float), rng.integers(0, 3, 60)
    score, mass = rng.normal(size=60) + truth, rng.uniform(0.3, 1.0, 60)
    whole = evaluate.auc(truth, score, fold, mass)
    moved = evaluate.auc_influence(truth, score, fold, mass)
    for i in range(0, 60, 7):
        kept = mass * (np.arange(60) != i)
        pairs = evaluate.auc(truth, score, fold, kept)
        share = 1.0 - evaluate._won(truth, score, fold, mass)[1][i] / (
            evaluate._won(truth, score, fold, mass)[1][truth > 0.5].sum()
        )
        assert pairs == pytest.approx(whole - moved[i] / share)
    spread, freedom = evaluate.auc_spread(moved, [str(i) for i in range(60)], truth)
    assert 0.03 < spread < 0.12
    assert freedom == 58


def rows_of(labels, subjects, task=AGE):
    pairs = enumerate(zip(labels, subjects, strict=True))
    return Cohort(
        Path("t.csv"), task, [Row(s, Path(f"{i}"), None, float(v), None, i) for i, (v, s) in pairs]
    )


def test_every_subject_counts_once_in_the_figure_and_in_its_interval():
    subjects = ["often"] * 90 + [f"s{i}" for i in range(20)]
    labels = np.r_[np.full(90, 50.0), np.linspace(20, 80, 20)]
    cohort, predicted = rows_of(labels, subjects), labels + np.r_[np.full(90, 30.0), np.ones(20)]
    found = evidence.against_constant(cohort, predicted[None], np.full((1, 110), 50.0))
    assert found["value"] == pytest.approx((30.0 + 20 * 1.0) / 21)
    assert found["interval"][0] < found["value"] < found["interval"][1]
    y = np.r_[np.ones(90), np.tile([0.0, 1.0], 10)]
    score = np.r_[np.full(90, -9.0), y[90:]]
    twice = evidence.figure(rows_of(y, subjects, SEX), score[None])
    assert twice == pytest.approx(10 / 11)  # of eleven women one ranks below, however often seen


def test_the_constant_is_the_median_of_people():
    skewed = [0.0, 1.0, 2.0, 20.0, 40.0]
    assert evidence.constant(rows_of(skewed, "abcde")) == 2.0
    assert evidence.constant(rows_of([*skewed, 60.0], "abcdef")) == 11.0
    assert evidence.constant(rows_of([*skewed, 40.0, 40.0, 40.0], "abcdeeee")) == 2.0
    assert evidence.constant(rows_of([0, 0, 0, 1], "aaab", SEX)) == 0.5
    error = [np.abs(np.array(skewed) - c).mean() for c in (2.0, np.mean(skewed))]
    assert error[0] < error[1]


def test_several_comparisons_have_wider_intervals():
    rng = np.random.default_rng(0)
    cohort = rows_of(rng.uniform(20, 80, 40), map(str, range(40)))
    one, two = (cohort.labels + rng.normal(0, s, 40) for s in (5.0, 6.0))
    alone, among = (evidence.difference(cohort, one[None], two[None], None, c) for c in (1, 9))
    assert alone[0] == among[0]
    assert among[1] < alone[1] < alone[0] < alone[2] < among[2]


@pytest.mark.parametrize(
    ("labels", "task", "words"),
    [
        (np.arange(11), AGE, "11 subjects are too few for the test part of age; 12 are needed"),
        (np.arange(14) < 9, SEX, "5 subjects of class F are too few"),
        (np.zeros(14), SEX, "0 subjects of class M are too few"),
        (np.full(14, 3.0), AGE, "all labels of age are the same"),
    ],
)
def test_too_few_people_to_judge_by_are_refused(labels, task, words):
    with pytest.raises(InputError, match=words):
        evidence.check_enough(rows_of(labels, map(str, range(len(labels))), task), "the test part")


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
