"""The linear model of the smoothed scan: in the dual equal to the slow fit, and without leaks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge

from fmtool.task import AGE, SEX
from training.cohort import Cohort, Row
from training.evidence import evaluate, smoothed_scan, soft_tissue, splits

SHAPE = (24, 28, 26)
STRENGTHS = np.logspace(-3, 3, 7)


def cohort(labels, task, scans_each=1):
    rows = [
        Row(f"s{i // scans_each}", Path(f"{i}.nii"), None, float(v), None, i)
        for i, v in enumerate(labels)
    ]
    return Cohort(Path("t.csv"), task, rows)


def made(task, count=40, seed=0):
    """Volumes whose one corner is the darker the older, or in men; and the rest of noise."""
    rng = np.random.default_rng(seed)
    y = rng.uniform(20, 80, count) if task is AGE else np.arange(count) % 2.0
    mask = np.zeros(SHAPE, dtype=bool)
    mask[2:-2, 2:-2, 2:-2] = True
    volumes = rng.normal(100.0, 20.0, (count, *SHAPE)).astype(np.float32)
    size = (y - y.min()) / (y.max() - y.min())
    volumes[:, 3:10, 3:10, 3:10] -= (30.0 * size + rng.normal(0, 3, count))[:, None, None, None]
    return volumes, mask, cohort(y, task)


def features(task, count=40, seed=0):
    volumes, mask, people = made(task, count, seed)
    return [soft_tissue.smoothed(one, mask) for one in volumes], people


def plain(x, people, train, test):
    """The same model, fitted on the features themselves by scikit-learn."""

    def model(rows, strength):
        centred = x[rows] - x[rows].mean(axis=0)
        scale = (centred**2).sum() / len(rows)
        if people.task is AGE:
            return Ridge(alpha=strength * scale, solver="svd").fit(x[rows], people.labels[rows])
        # its bias is not penalised, but starts far away where the features are not centred
        one = LogisticRegression(C=1 / (strength * scale), tol=1e-10, max_iter=10000)
        one.fit(centred, people.labels[rows])
        one.intercept_ -= one.coef_ @ x[rows].mean(axis=0)
        return one

    def said(one, rows):
        return one.predict(x[rows]) if people.task is AGE else one.decision_function(x[rows])

    losses = np.zeros(len(STRENGTHS))
    for inner, held in splits.by_subject(people.take(train), 3, seed=0):
        for k, strength in enumerate(STRENGTHS):
            p, y = said(model(train[inner], strength), train[held]), people.labels[train[held]]
            loss = (p - y) ** 2 if people.task is AGE else np.logaddexp(0, (1 - 2 * y) * p)
            losses[k] += loss.sum()
    return said(model(train, STRENGTHS[losses.argmin()]), test)


@pytest.mark.parametrize("task", [AGE, SEX], ids=["age", "sex"])
def test_the_dual_equals_a_slow_fit_of_the_features(task):
    maps, people = features(task, 30)
    plan = splits.by_subject(people, 3, seed=0)
    (found,) = smoothed_scan.out_of_fold(soft_tissue.inner_products(maps), people, [plan])
    x = np.array([one.ravel() for one in maps], dtype=np.float64)
    for train, test in plan:
        expected = plain(x, people, train, test)
        scale = np.abs(expected - expected.mean()).max()
        assert found[test] == pytest.approx(expected, abs=2e-3 * scale)


def test_a_planted_signal_is_found_and_noise_is_not():
    for task, better in ((AGE, lambda value: value < 8.0), (SEX, lambda value: value > 0.9)):
        maps, people = features(task)
        gram, plan = soft_tissue.inner_products(maps), splits.by_subject(people, 5, seed=0)
        fold = splits.fold_of(plan, 40)

        def figure(whom, gram=gram, plan=plan, fold=fold, task=task):
            (said,) = smoothed_scan.out_of_fold(gram, whom, [plan])
            score = evaluate.mae if task is AGE else lambda y, p: evaluate.auc(y, p, fold)
            return score(whom.labels, said)

        assert better(figure(people))
        assert not better(
            figure(people.relabelled(np.random.default_rng(1).permutation(people.labels)))
        )


@pytest.mark.parametrize("task", [AGE, SEX], ids=["age", "sex"])
def test_nothing_of_a_tested_scan_reaches_the_model_that_tests_it(task):
    maps, people = features(task)
    x = np.array([one.ravel() for one in maps], dtype=np.float64)
    plan = splits.by_subject(people, 5, seed=0)
    train, test = plan[0]
    (before,) = smoothed_scan.out_of_fold(x @ x.T, people, [[(train, test)]])
    moved = x.copy()
    moved[test[0]] += 5.0
    labels = people.labels.copy()
    labels[test] = labels[test][::-1]
    (after,) = smoothed_scan.out_of_fold(moved @ moved.T, people.relabelled(labels), [[plan[0]]])
    assert after[test[1:]] == pytest.approx(before[test[1:]], rel=1e-6, abs=1e-6)
    assert after[test[0]] != pytest.approx(before[test[0]], rel=1e-3)
    assert np.isnan(after[train]).all()


def test_where_it_cannot_be_fitted_it_was_not_measured():
    people = cohort(np.arange(20.0), AGE)
    gram, plan = np.eye(20), splits.by_subject(people, 5, seed=0)
    assert smoothed_scan.out_of_fold(None, people, [plan]) is None
    few = [[(np.arange(5), np.arange(5, 20))]]
    assert smoothed_scan.out_of_fold(gram, people, few) is None
    women = cohort(np.arange(20) > 17, SEX)
    assert smoothed_scan.out_of_fold(gram, women, [[(np.arange(20), np.arange(0))]]) is None
    of_ten = cohort(np.arange(20.0), AGE, scans_each=4)
    assert smoothed_scan.out_of_fold(gram, of_ten, [[(np.arange(20), np.arange(0))]]) is None


def test_scans_that_are_all_alike_get_the_mean():
    people = cohort(np.arange(20.0), AGE)
    plan = splits.by_subject(people, 5, seed=0)
    (said,) = smoothed_scan.out_of_fold(np.zeros((20, 20)), people, [plan])
    for train, test in plan:
        assert said[test] == pytest.approx(people.labels[train].mean())


def test_classes_that_part_perfectly_still_have_a_finite_model():
    people = cohort(np.arange(20) % 2, SEX)
    x = np.c_[1e6 * people.labels, np.random.default_rng(0).normal(size=20)]
    (said,) = smoothed_scan.out_of_fold(x @ x.T, people, [splits.by_subject(people, 5, seed=0)])
    assert np.isfinite(said).all()
    assert ((said > 0) == (people.labels > 0)).all()
