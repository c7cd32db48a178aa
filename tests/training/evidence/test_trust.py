"""Coverage, calibration and novelty on data of a known law."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from fmtool.task import AGE, SEX
from runtime.answer import answer
from runtime.trust.interval import interval
from training import probe
from training.cohort import Cohort, Row
from training.evidence import (
    calibration,
    conformal,
    difficulty,
    head,
    novelty,
    splits,
    tendency,
    trust,
)

FEATURES = 8


def draw(rng, scans, each=1, uneven=0.0):
    """y = 50 + 5 x1 + noise, its size by exp(uneven x2); subjects of `each` scans."""
    own = np.repeat(rng.normal(size=(scans // each, FEATURES)), each, axis=0)
    shared = np.repeat(rng.normal(size=scans // each), each)  # one subject's scans err alike
    x = own + 0.1 * rng.normal(size=own.shape)
    y = 50 + 5 * x[:, 0] + 3 * (shared + 0.3 * rng.normal(size=scans)) * np.exp(uneven * x[:, 1])
    return x, cohort(y, AGE, [f"s{i // each}" for i in range(scans)])


def cohort(y, task, subjects=None):
    subjects = [f"s{i}" for i in range(len(y))] if subjects is None else subjects
    pairs = enumerate(zip(y, subjects, strict=True))
    rows = [Row(s, Path(f"{i}.nii"), None, float(v), None, i) for i, (v, s) in pairs]
    return Cohort(Path("t.csv"), task, rows)


def least_squares(x, cohort):
    full = np.c_[x, np.ones(len(x))]
    found = np.linalg.lstsq(full, cohort.labels, rcond=None)[0]
    return found[:-1], float(found[-1])


def fold_heads(x, drawn, seed, folds=5):
    plan = splits.by_subject(drawn, folds, seed)
    fitted = [least_squares(x[train], drawn.take(train)) for train, _ in plan]
    weights, biases = np.array([w for w, _ in fitted]), np.array([b for _, b in fitted])
    return plan, conformal.folds_of(x, drawn, plan, weights, biases)


def coverage(draws, scans, each):
    """The share of new subjects' scans in their 90 % intervals, draw by draw."""
    found = []
    for seed in range(draws):
        rng = np.random.default_rng(seed)
        _, folds = fold_heads(*draw(rng, scans, each), seed)
        new, truth = draw(rng, 40)
        spans = [interval(folds, e, 0.9) for e in new]
        found.append(
            np.mean([s.low <= t <= s.high for s, t in zip(spans, truth.labels, strict=True)])
        )
    return float(np.mean(found)), float(np.std(found) / np.sqrt(draws))


@pytest.mark.parametrize(("scans", "each"), [(100, 1), (200, 4)])
def test_intervals_cover_as_often_as_they_say(scans, each):
    share, error = coverage(60, scans, each)
    assert 0.9 - 3 * error <= share <= 0.95


def test_scans_taken_for_subjects_would_cover_too_little():
    """Which is why subjects are counted: the same data, each scan its own subject in the masses."""
    rng = np.random.default_rng(0)
    _, folds = fold_heads(*draw(rng, 48, each=4), 0)
    assert folds.subjects == pytest.approx(12)
    by_scan = conformal.masses([str(i) for i in range(48)])
    assert by_scan.sum() == 48
    wide = interval(folds, np.zeros(FEATURES), 0.9)
    narrow = interval(type(folds)(**vars(folds) | {"mass": by_scan}), np.zeros(FEATURES), 0.9)
    assert wide.high - wide.low > narrow.high - narrow.low


def test_the_guarantee_is_the_theorems():
    assert conformal.guarantee(0.9, 100, 1) == 0.9
    wanted = 1 - 0.2 - min(2 * 0.8 / 21, (1 - 5 / 100) / 6)
    assert conformal.guarantee(0.9, 100, 5) == pytest.approx(wanted)
    assert conformal.guarantee(0.9, 28, 28) == pytest.approx(0.8)  # jackknife+


@pytest.mark.parametrize(("uneven", "normalised"), [(0.0, False), (0.8, True)])
def test_residuals_are_normalised_where_that_shortens(uneven, normalised):
    x, drawn = draw(np.random.default_rng(1), 300, uneven=uneven)
    plan, folds = fold_heads(x, drawn, 0)
    chosen, found = difficulty.choose([x] * len(plan), drawn, plan, folds, least_squares)
    assert (found is not None) is normalised
    new, truth = draw(np.random.default_rng(2), 400, uneven=uneven)
    spans = [interval(chosen, e, 0.9, found) for e in new]
    share = np.mean([s.low <= t <= s.high for s, t in zip(spans, truth.labels, strict=True)])
    assert 0.85 <= share <= 0.95
    if normalised:
        plain = [interval(folds, e, 0.9) for e in new]
        assert np.mean([s.high - s.low for s in spans]) < 0.95 * np.mean(
            [s.high - s.low for s in plain]
        )


def test_a_small_cohort_is_never_normalised():
    x, drawn = draw(np.random.default_rng(1), 90, uneven=1.0)
    plan, folds = fold_heads(x, drawn, 0)
    assert difficulty.choose([x] * len(plan), drawn, plan, folds, least_squares) == (folds, None)


def binary(rng, scans, slope=1.0, shift=0.0):
    logits = rng.normal(0, 2, scans)
    labels = (rng.random(scans) < 1 / (1 + np.exp(-slope * logits - shift))).astype(float)
    return logits, labels


def test_platt_finds_the_law_that_made_the_labels():
    logits, labels = binary(np.random.default_rng(0), 4000, slope=0.5, shift=-1.0)
    found = calibration.platt(logits, labels, np.ones(4000))
    assert found.slope == pytest.approx(0.5, abs=0.06)
    assert found.intercept == pytest.approx(-1.0, abs=0.12)


def test_platt_stays_finite_for_classes_that_part_and_flat_for_a_head_that_is_wrong():
    logits, labels = np.linspace(-3, 3, 20), (np.arange(20) >= 10).astype(float)
    found = calibration.platt(logits, labels, np.ones(20))
    assert 0.5 < found.slope < 20
    wrong = calibration.platt(-logits, labels, np.ones(20))
    assert wrong.slope == 0.0
    assert wrong(3.0) == pytest.approx(0.5)


def test_the_calibration_is_chosen_by_log_loss_and_few_subjects_get_platts():
    rng = np.random.default_rng(3)
    logits = rng.uniform(-3, 3, 1500)
    steps = np.where(np.abs(logits) < 2, 0.5, np.where(logits > 0, 0.95, 0.05))  # no sigmoid
    labels = (rng.random(1500) < steps).astype(float)
    kind = calibration.choose(logits, cohort(labels, SEX), 0)[0].to_dict()["kind"]
    assert kind == "isotonic"
    few = calibration.choose(logits[:150], cohort(labels[:150], SEX), 0)[0]
    assert few.to_dict()["kind"] == "platt"
    logits, labels = binary(rng, 1500)
    kind = calibration.choose(logits, cohort(labels, SEX), 0)[0].to_dict()["kind"]
    assert kind == "platt"


def test_a_shrunken_head_is_corrected_and_one_that_ignores_the_truth_is_not():
    rng = np.random.default_rng(0)
    y = rng.uniform(20, 80, 200)
    shrunken = 30 + 0.4 * y + rng.normal(0, 2, (3, 200))
    found = tendency.fit(cohort(y, AGE), shrunken, 0)
    assert found.slope == pytest.approx(0.4, abs=0.03)
    corrected = found.corrected(shrunken.mean(axis=0))
    assert np.polyfit(y, corrected, 1) == pytest.approx([1.0, 0.0], abs=1e-6)
    assert tendency.fit(cohort(y, AGE), 50 + rng.normal(0, 2, (3, 200)), 0) is None


def test_the_shape_is_ledoit_and_wolfs_covariance():
    from sklearn.covariance import LedoitWolf

    x = np.random.default_rng(0).normal(size=(60, 10)) @ np.diag(np.linspace(1, 2, 10))
    shape = novelty.shape(x, np.ones(60), rank=9)
    z = (x - x.mean(axis=0)) / shape.scale
    reference = LedoitWolf(assume_centered=True).fit(z)
    inverse = np.linalg.inv(reference.covariance_)
    np.testing.assert_allclose(shape(x), np.sqrt(np.einsum("nf,fg,ng->n", z, inverse, z)))


def test_the_shape_of_more_features_than_scans_is_the_same_covariances():
    from sklearn.covariance import LedoitWolf

    rng = np.random.default_rng(0)
    x = rng.normal(size=(30, 200)) + 2 * rng.normal(size=(30, 4)) @ rng.normal(size=(4, 200))
    shape = novelty.shape(x, np.ones(30), rank=29)
    z = (x - x.mean(axis=0)) / shape.scale
    inverse = np.linalg.inv(LedoitWolf(assume_centered=True).fit(z).covariance_)
    new = rng.normal(size=(5, 200))
    z = (new - x.mean(axis=0)) / shape.scale
    np.testing.assert_allclose(
        shape(new), np.sqrt(np.einsum("nf,fg,ng->n", z, inverse, z)), rtol=1e-6
    )


def test_what_is_in_one_cell_and_what_is_everywhere_are_new_to_a_grid():
    cells, channels = 60, 32

    def heads(rng, count):
        """Embeddings of heads that differ as a whole, by channel, and a little in each cell."""
        own = rng.normal(size=(count, channels, 1)) + rng.normal(size=(count, 1, 1))
        usual = np.random.default_rng(0).uniform(1, 4, (1, channels, cells))
        return usual * (3 + 0.1 * own) + 0.3 * rng.normal(size=(count, channels, cells))

    x = heads(np.random.default_rng(1), 80)
    fitted = novelty.fit(x.reshape(80, -1), [str(i) for i in range(80)], 0, cells)
    assert fitted.features == cells * channels
    assert len(json.dumps(fitted.to_dict())) < 25 * novelty.RANK * (cells + channels + 10)
    new = heads(np.random.default_rng(2), 200)
    local, whole = new.copy(), new.copy()
    local[:, :, 17] *= 0.5  # such as a cavity
    whole[:, ::2] *= 1.3  # such as another contrast
    usual, hole, other = (
        np.array([fitted.p_value(e) for e in each.reshape(200, -1)]) for each in (new, local, whole)
    )
    assert 0.05 <= np.mean(usual <= 0.1) <= 0.2
    assert np.mean([fitted.unusual(p) for p in hole]) > 0.95
    assert np.mean([fitted.unusual(p) for p in other]) > 0.95
    # The channels' means over the whole head do not show what is in one cell.
    blind = novelty.fit(x.sum(2), [str(i) for i in range(80)])
    assert np.mean([blind.unusual(blind.p_value(e)) for e in local.sum(2)]) < 0.5


def test_p_values_of_new_subjects_are_uniform():
    found = []
    for seed in range(40):
        x = np.random.default_rng(seed).normal(size=(90, 6))
        fitted = novelty.fit(x[:40], [str(i) for i in range(40)])
        found += [fitted.p_value(e) for e in x[40:]]
    for level in (0.1, 0.25, 0.5, 0.75):
        assert np.mean(np.array(found) <= level) == pytest.approx(level, abs=0.04)


def test_what_is_far_is_new_and_what_is_silent_may_speak():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 6)) * [1, 1, 1, 1, 1, 0]  # a feature that never varies
    fitted = novelty.fit(x, [str(i) for i in range(40)])
    assert fitted.p_value(x[0] + 8) == fitted.least
    assert np.isfinite(fitted.shape(np.ones(6)))
    assert novelty.fit(x[:11], [str(i) for i in range(11)]) is None
    assert novelty.fit(np.ones((40, 6)), [str(i) for i in range(40)]) is None


@pytest.mark.parametrize("task", [AGE, SEX])
def test_a_probe_keeps_its_limits_in_its_file(task, tmp_path):
    x, drawn = draw(np.random.default_rng(0), 60)
    drawn = drawn if task is AGE else cohort(drawn.labels > 50, SEX)
    found = probe.fit(x, drawn, folds=4, repeats=1).head
    again = head.load(found.save(tmp_path / "head.json"))
    for e in np.random.default_rng(1).normal(size=(5, FEATURES)):
        before, after = (answer(task, float(h(e)), {}, e, h.trust) for h in (found, again))
        assert after == before
        assert after.novelty is not None
        assert (after.interval is not None) is (task is AGE)
        assert (after.members is not None) is (task is SEX)
    summary = found.evidence["trust"]
    assert summary["method"] == "CV+ over 4 folds"
    assert json.loads(json.dumps(summary)) == summary


def test_a_head_of_an_earlier_version_has_no_limits(tmp_path):
    path = head.Head(AGE, np.ones(3), 1.0, {}, "").save(tmp_path / "head.json")
    content = json.loads(path.read_text(encoding="utf-8"))
    del content["trust"]
    path.write_text(json.dumps(content))
    assert head.load(path).trust is None
    path.write_text(json.dumps(content | {"trust": {"level": 0.9}}))
    with pytest.raises(head.InputError, match="damaged"):
        head.load(path)


def test_scans_that_were_never_seen_give_split_conformal_limits():
    x, drawn = draw(np.random.default_rng(0), 50)
    weight = np.r_[5.0, np.zeros(FEATURES - 1)]
    found, summary = trust.split(x, drawn, weight, 50.0, seed=0)
    assert (summary["method"], summary["guarantee"]) == ("split conformal", 0.9)
    residual = np.sort(np.abs(drawn.labels - x @ weight - 50.0))[
        45
    ]  # the 46th of 50: ceil(0.9 * 51)
    span = interval(found.folds, np.zeros(FEATURES), 0.9)
    assert (span.low, span.high) == pytest.approx((50 - residual, 50 + residual))


def test_calibration_scans_are_not_in_the_order_of_the_table():
    x, drawn = draw(np.random.default_rng(0), 50)
    y = (drawn.labels > 50).astype(float)
    weight = np.r_[5.0, np.zeros(FEATURES - 1)]
    found, _ = trust.split(x, cohort(y, SEX), weight, 0.0, seed=0)
    assert np.all(np.diff(found.folds.score) >= 0)
    order = np.argsort(x @ weight)
    np.testing.assert_allclose(found.folds.score, (x @ weight)[order])
    np.testing.assert_array_equal(found.labels, y[order])


def test_few_scans_or_one_class_give_none():
    x, drawn = draw(np.random.default_rng(0), 6)
    found, summary = trust.split(x, drawn, np.ones(FEATURES), 0.0, seed=0)
    assert (found.novelty, summary["width"]) == (None, None)
    found, summary = trust.split(x, cohort(np.ones(6), SEX), np.ones(FEATURES), 0.0, seed=0)
    assert found.labels is found.probability is None
    assert "probability" not in summary
