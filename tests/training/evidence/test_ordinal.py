"""Classes in an order: figures by their definitions, the model, thresholds, and what is kept."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import approx_fprime, minimize
from scipy.stats import kendalltau, somersd
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import cohen_kappa_score, confusion_matrix, mean_absolute_error

from fmtool.errors import InputError
from fmtool.task import Task
from runtime.answer import answer
from runtime.trust import Trust, ordinal
from runtime.trust.ordinal import Cumulative
from training import evidence, probe
from training.cohort import Cohort, Row
from training.cohort.labels import LabelColumn, LeftOut
from training.cohort.split_make import typical
from training.evidence import (
    conformal,
    cumulative,
    evaluate,
    head,
    out_of_fold,
    plot,
    probabilities,
)
from training.evidence import ordinal as figures
from training.evidence import trust as trusts

NAMES = ("none", "mild", "severe")
STAGE = Task("stage", "ordinal", "probability", "stage", classes=NAMES)
PEOPLE = 60


def cohort(labels, subjects=None):
    names = subjects or [f"s{i}" for i in range(len(labels))]
    pairs = enumerate(zip(names, labels, strict=True))
    made = [Row(s, Path(f"{i}.nii"), None, float(y), None, i + 2) for i, (s, y) in pairs]
    return Cohort(Path("t.csv"), STAGE, made)


def steps(labels, signal=1.5, seed=0, thresholds=(-1.0, 1.0)):
    score = signal * (labels - 1.0) + np.random.default_rng(seed).logistic(size=len(labels))
    return score[:, None] - np.array(thresholds)


def embeddings(labels, seed, signal=1.2, features=8):
    x = np.random.default_rng(seed).normal(size=(len(labels), features))
    x[:, 0] += signal * labels
    return x


def test_the_figures_are_those_of_their_definitions():
    y = np.arange(PEOPLE) % 3
    z, people = steps(y), cohort(y)
    found = evidence.against_constant(people, z[None], np.ones((1, PEOPLE)))
    assert found["metric"] == "C-index"
    assert found["value"] == pytest.approx((1 + somersd(y, z[:, 0]).statistic) / 2)
    told = figures.answered(z, people)
    assert found["classes_off"]["value"] == pytest.approx(mean_absolute_error(y, told))
    assert found["classes_off"]["median"] == pytest.approx(2 / 3)
    assert found["kappa"]["value"] == pytest.approx(cohen_kappa_score(y, told, weights="quadratic"))
    assert found["confusion"] == pytest.approx(confusion_matrix(y, told, normalize="true"))
    assert found["accuracy"]["majority"] == pytest.approx(1 / 3)
    low, high = found["interval"]
    assert 0.5 < low < found["value"] < high <= 1.0
    low, high = found["kappa"]["interval"]
    assert low < found["kappa"]["value"] < high


def test_scores_of_new_scans_that_shrink_are_not_all_called_the_middle():
    y = np.arange(PEOPLE) % 3
    shrunk = 0.1 * (y - 1.0)[:, None] - np.array([-3.0, 3.0])  # in order, and far from either end
    assert (ordinal.median(shrunk) == 1.0).all()
    assert (figures.answered(shrunk, cohort(y)) == y).all()


def test_of_two_classes_the_c_index_is_the_auc_and_its_interval_that_of_an_auc():
    assert figures._half_as_sure([20, 20]) == pytest.approx(20.0)
    assert figures._half_as_sure([20, 20, 20]) > 40.0  # more pairs say more
    y = np.arange(30) % 3
    mass, score = np.ones(30), steps(y)[:, 0]
    pairs = [(i, j) for i, j in combinations(range(30), 2) if y[i] != y[j]]
    right = [(score[i] > score[j]) == (y[i] > y[j]) for i, j in pairs]
    assert evaluate.auc(y, score) == pytest.approx(np.mean(right))
    slope = approx_fprime(mass, lambda m: evaluate.auc(y, score, None, m), 1e-6)
    assert evaluate.auc_influence(y, score, None, mass) == pytest.approx(slope, abs=1e-5)


def test_a_c_index_counts_within_folds_and_every_subject_once():
    y, fold = np.arange(PEOPLE) % 3, np.arange(PEOPLE) // (PEOPLE // 2)
    z = steps(y, 0.0)
    apart = z + 100.0 * fold[:, None]
    each = [(1 + somersd(y[fold == k], z[fold == k, 0]).statistic) / 2 for k in (0, 1)]
    assert evidence.figure(cohort(y), apart[None], fold[None]) == pytest.approx(np.mean(each))
    twice = cohort(np.r_[y, y[:3]], [f"s{i}" for i in [*range(PEOPLE), 0, 1, 2]])
    double = np.concatenate([z, z[:3]])
    assert evidence.figure(twice, double[None]) == pytest.approx(
        evidence.figure(cohort(y), z[None])
    )


def test_the_median_class_is_the_baseline_and_a_subjects_one_label():
    assert evidence.constant(cohort(np.repeat([0, 1, 2], [10, 30, 40]))) == 1.0
    assert evidence.constant(cohort(np.repeat([0, 2], [10, 10]))) == 0.0
    assert typical([0.0, 0.0, 2.0], STAGE) == 0.0
    assert typical([0.0, 2.0], STAGE) == 2.0


def test_the_model_is_the_penalised_maximum_and_of_two_classes_logistic_regression():
    rng = np.random.default_rng(1)
    z, mass = rng.normal(size=(80, 3)), rng.uniform(0.5, 1.0, 80)
    y = np.digitize(z[:, 0] + rng.logistic(size=80), [-1.0, 0.5]).astype(float)
    weight, bias = cumulative.fit(z, y, mass, 3, 0.7)

    def slow(found):  # each probability by its definition
        beyond = 1.0 / (1.0 + np.exp(-((z @ found[:3])[:, None] + found[3:])))
        p = -np.diff(np.c_[np.ones(80), beyond, np.zeros(80)], axis=1)
        own = p[np.arange(80), y.astype(int)]
        return -mass @ np.log(np.maximum(own, 1e-300)) + 0.35 * found[:3] @ found[:3]

    start = np.r_[np.zeros(3), 1.0, -1.0]
    best = minimize(slow, start, method="Nelder-Mead", options={"xatol": 1e-8, "maxfev": 9000})
    assert np.r_[weight, bias] == pytest.approx(best.x, abs=1e-5)
    two = (y > 0).astype(float)
    weight, bias = cumulative.fit(z, two, mass, 2, 0.7)
    model = LogisticRegression(C=1 / 0.7, tol=1e-10, solver="newton-cholesky").fit(z, two, mass)
    assert weight == pytest.approx(model.coef_[0], abs=1e-6)
    assert bias == pytest.approx(model.intercept_, abs=1e-6)
    with pytest.raises(InputError, match="no scan to fit by is of class 2"):
        cumulative.fit(z, two, mass, 3, 0.7)


def test_classes_far_apart_and_next_to_each_other_are_fitted():
    y = np.repeat([0.0, 1.0, 2.0, 3.0], [40, 1, 1, 40])
    z = (1e3 * y)[:, None]
    _, bias = cumulative.fit(z, y, np.ones(len(y)), 4, 1.0)
    assert (np.diff(bias) < 0).all()
    same, bias = cumulative.fit(0.0 * z, y, np.ones(len(y)), 4, 1.0)
    assert same == pytest.approx([0.0])
    assert ordinal.log_chances(bias) == pytest.approx(np.log(np.array([40, 1, 1, 40]) / 82))


def test_probabilities_add_up_and_keep_their_digits_at_either_end():
    known = Cumulative(1.0, np.array([-2.0, 0.5, 3.0]))
    p = known(np.linspace(-700.0, 700.0, 29))
    assert p.sum(axis=-1) == pytest.approx(np.ones(29))
    assert np.isfinite(ordinal.log_chances(700.0 - np.array([-2.0, 0.5, 3.0]))).all()
    assert known(0.2)[2] == pytest.approx(1 / (1 + np.exp(-2.8)) - 1 / (1 + np.exp(-0.3)))
    for chances, score in ((known(0.4), 0.4), (known(0.6), 0.6)):
        assert ordinal.median_of(chances) == ordinal.median(score - known.thresholds)
    assert ordinal.median_of([0.5, 0.5]) == 0


def test_strangeness_is_how_far_a_score_lies_beyond_a_class():
    z = 1.7 - np.array([-1.0, 1.0, 4.0])
    assert ordinal.strangeness(z) == pytest.approx([2.7, 0.7, -0.7, 2.3])
    assert ordinal.run([0, 2]) == [0, 1, 2]


def test_probabilities_are_calibrated_and_noise_gives_the_shares():
    y = np.repeat([0, 1, 2], [90, 60, 30])
    found = probabilities.fit(3.0 * steps(y, 2.0, 1), cohort(y))
    shares = probabilities.chances(found, 3.0 * steps(y, 2.0, 1)).mean(axis=0)
    assert shares == pytest.approx(np.array([90, 60, 30]) / 180, abs=0.02)
    assert found.slope < 0.6  # three times too sure
    wrong = probabilities.fit(-steps(y, 2.0), cohort(y))
    assert wrong.slope == 0.0
    assert wrong(5.0) == pytest.approx(np.array([90, 60, 30]) / 180, abs=1e-2)
    assert Cumulative.from_dict(found.to_dict())(0.3) == pytest.approx(found(0.3))
    with pytest.raises(ValueError, match="thresholds that rise"):
        Cumulative(1.0, np.array([1.0, 1.0]))


def test_many_classes_of_few_people_are_not_all_called_the_middle():
    names = tuple(f"c{i}" for i in range(32))
    many = Task("stage", "ordinal", "probability", "stage", classes=names)
    y = np.arange(32 * 7) % 32
    z = 2.0 * (y - 15.5)[:, None] - 2.0 * (np.arange(31) - 15.0)
    found = probabilities.fit(z, replace(cohort(y), task=many))
    chances = probabilities.chances(found, z)
    told = np.array([ordinal.median_of(p) for p in chances])
    assert np.abs(told - y).mean() < 1.0


@pytest.fixture(scope="module")
def fitted():
    y = np.arange(PEOPLE) % 3
    volumes = (1200 - 40 * y + np.random.default_rng(5).normal(size=PEOPLE)).tolist()
    gram = np.eye(PEOPLE) + np.outer(y - 1.0, y - 1.0)
    x = embeddings(y, 0)
    return probe.fit(x, cohort(y), folds=3, repeats=1, brain_volume_ml=volumes, gram=gram)


def test_a_head_is_kept_and_read_again_and_a_damaged_one_refused(fitted, tmp_path):
    made = fitted.head
    read = head.load(made.save(tmp_path / "h.json"))
    assert (read.task, read.bias, read.thresholds) == (made.task, made.bias, made.thresholds)
    assert sum(made.thresholds) == pytest.approx(0.0, abs=1e-12)
    content = json.loads((tmp_path / "h.json").read_text())
    for wrong in (None, [1.0], [1.0, 0.0], [0.0, 0.0], [0.0, float("inf")], ["a", "b"]):
        (tmp_path / "w.json").write_text(json.dumps(content | {"thresholds": wrong}))
        with pytest.raises(InputError, match="is damaged"):
            head.load(tmp_path / "w.json")


def test_trust_is_read_as_it_was_kept_and_belongs_to_its_classes(fitted):
    made, e = fitted.head, embeddings(np.arange(PEOPLE) % 3, 1)[0]
    read = Trust.from_dict(made.trust.to_dict())
    given = (STAGE, made(e), {}, e)
    one, other = (answer(*given, t, thresholds=made.thresholds) for t in (read, made.trust))
    assert one == other
    assert sum(one.probabilities.values()) == pytest.approx(1.0)
    assert one.probability == one.probabilities[one.label]
    assert read.fits(STAGE)
    assert not read.fits(Task("d", "multiclass", "probability", "d", classes=("a", "b")))
    wrong = {"slope": 1.0, "offsets": [0.0, 0.0]}
    with pytest.raises(ValueError, match="of other classes than its heads"):
        Trust.from_dict(made.trust.to_dict() | {"probabilities": wrong})


def test_an_answer_is_the_median_class_and_its_set_has_no_gap(fitted):
    made = fitted.head
    for score in (-9.0, -0.1, 9.0):
        said = answer(STAGE, score, {}, thresholds=(-0.5, 0.5))
        assert said.label == NAMES[int(np.sign(round(score))) + 1]
        assert said.value == said.probabilities[said.label]
        assert said.score == score
    rare = answer(STAGE, 0.0, {}, thresholds=(-0.01, 0.01))
    assert rare.label == "mild"  # though either other is far more probable
    for e in embeddings(np.arange(PEOPLE) % 3, 3, 3.0):
        members = answer(STAGE, made(e), {}, e, made.trust, thresholds=made.thresholds).members
        at = [NAMES.index(name) for name in members]
        assert at == list(range(at[0], at[-1] + 1))


def test_a_probe_says_what_its_baselines_reach_and_its_table_is_whole(fitted, tmp_path):
    found, told = fitted, fitted.head.evidence
    assert told["brain_volume"]["value"] > 0.9
    assert told["brain_volume"]["head_is_better"] is False
    assert told["smoothed_scan"]["value"] > 0.9
    assert found.predictions.shape == (1, PEOPLE, 2)
    for name in ("predicted", "predicted_by_brain_volume", "predicted_by_smoothed_scan"):
        assert {row[name] for row in found.rows} <= set(NAMES)
    row = found.rows[0]
    assert sum(row[f"probability_{name}"] for name in NAMES) == pytest.approx(1.0)
    order = [(row["score"], NAMES.index(row["truth"])) for row in found.rows]
    assert kendalltau(*zip(*order, strict=True)).statistic > 0.3
    out_of_fold.write(tmp_path / "t.csv", found.rows, STAGE)
    assert "log-odds of one class more" in (tmp_path / "t.json").read_text()
    pytest.importorskip("matplotlib")
    drawn = plot.draw(tmp_path / "h.json", found.rows, STAGE, told)
    assert all(path.stat().st_size > 1000 for path in drawn)


def test_a_class_called_none_is_no_missing_value():
    column = LabelColumn(STAGE)
    assert [column.label(cell) for cell in ("none", "NONE ", "0", "severe")] == [0, 0, 0, 2]
    assert isinstance(column.label("n/a"), LeftOut)
    assert isinstance(LabelColumn(Task("g", "regression", "y", "g")).label("none"), LeftOut)


def test_one_number_orders_the_classes():
    y = np.arange(PEOPLE) % 3
    volumes = 1000.0 + 50.0 * y + np.random.default_rng(0).normal(size=PEOPLE)
    z = conformal.said(volumes[:, None], *probe.one_number(volumes, cohort(y)))
    assert (ordinal.median(z) == y).mean() > 0.9


def trial(seed, signal, count=60):
    y = np.random.default_rng(seed).permutation(np.arange(count) % 3)
    x = embeddings(y, 10_000 + seed, signal)
    return probe.fit(x, cohort(y), seed=seed, folds=5, repeats=1).head.evidence


@pytest.mark.slow
def test_noise_seldom_beats_a_baseline_and_a_planted_signal_is_found():
    noise = [trial(seed, 0.0) for seed in range(80)]
    assert np.mean([one["beats_baseline"] for one in noise]) <= 0.05
    better = [one["classes_off"]["difference_interval"][1] < 0.0 for one in noise]
    assert np.mean(better) <= 0.05
    found = [trial(seed, 2.0) for seed in range(10)]
    assert all(one["interval"][0] > 0.5 for one in found)
    better = [one["classes_off"]["difference_interval"][1] < 0.0 for one in found]
    assert np.mean(better) > 0.9


def covered(repeats, counts):
    """(3,): the share of each class's new scans whose set holds their class."""
    hits, y, new = np.zeros(3), np.repeat([0, 1, 2], counts), np.arange(150) % 3
    for r in range(repeats):
        x, people = embeddings(y, 2 * r), cohort(y)
        every = np.random.default_rng(r).permutation(len(y))
        folds = np.array_split(every, 5)
        plan = [(np.setdiff1d(every, test), np.sort(test)) for test in folds]
        heads = [cumulative.fit(x[t], y[t], np.ones(len(t)), 3, 1.0) for t, _ in plan]
        limits, _ = trusts.cross(x, people, plan, heads, np.empty(0), probe.fit_affine, 0)
        assert limits.by_class
        for e, c in zip(embeddings(new, 2 * r + 1), new, strict=True):
            hits[c] += int(c) in limits.members(limits.p_values(e))
    return hits / (50 * repeats)


@pytest.mark.slow
@pytest.mark.parametrize("counts", [(49, 49, 49), (99, 49, 29)])  # (n + 1) * 0.1 is whole
def test_sets_cover_in_each_class_over_repeats(counts):
    shares = covered(100, counts)
    assert (shares > 0.88).all(), shares
    assert (shares < 0.92).all(), shares
