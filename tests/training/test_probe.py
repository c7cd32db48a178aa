"""The probe on embeddings with a known truth: signal is found, noise is not sold as signal."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from fmtool.bundle.exposure import Overlap
from fmtool.errors import InputError
from fmtool.task import AGE, SEX
from training import evidence, probe
from training.cohort import Cohort, Row
from training.evidence import evaluate, head, smoothed_scan, splits

FEATURES = 24


def cohort(labels, task, scans_each=1, site=None):
    rows = [
        Row(f"s{i // scans_each}", Path(f"{i}.nii"), None, float(v), site, i + 2)
        for i, v in enumerate(labels)
    ]
    return Cohort(Path("t.csv"), task, rows)


def ages(count=80, signal=1.0, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.uniform(20, 80, count)
    x = rng.normal(3.0, 1.0, (count, FEATURES)) * np.geomspace(0.01, 10, FEATURES)
    x[:, 0] += signal * 0.01 * (y - 50) / 5
    return x, y


def sexes(count=80, signal=2.0, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(count) % 2
    x = rng.normal(size=(count, FEATURES))
    x[:, 1] += signal * y
    return x, y


def test_regression_recovers_signal_and_beats_the_mean():
    x, y = ages()
    seen = Overlap(3, 0, 80, True)
    found = probe.fit(
        x, cohort(y, AGE, site="A"), folds=4, repeats=2, encoder_sha256="abc", seen=seen
    )
    evidence = found.head.evidence
    assert evidence["metric"] == "MAE"
    assert evidence["unit"] == "years"
    assert evidence["value"] < 6 < 12 < evidence["baseline"]
    assert evidence["interval"][0] < evidence["value"] < evidence["interval"][1]
    assert evidence["difference_interval"][1] < 0
    assert evidence["beats_baseline"] is True
    assert 3 < evidence["residual_sd"] < 9
    assert (evidence["n"], evidence["n_subjects"], evidence["folds"]) == (80, 80, 4)
    assert evidence["label_range"] == [y.min(), y.max()]
    assert evidence["sample"].startswith("80 scans of 80 subjects from A, age ")
    assert found.head.encoder_sha256 == "abc"
    assert evidence["exposure"] == seen.to_dict()


def test_evidence_is_the_plain_figure_of_the_out_of_fold_predictions():
    x, y = ages()
    found = probe.fit(x, cohort(y, AGE), folds=4, repeats=2)
    expected = np.mean([evaluate.mae(y, p) for p in found.predictions])
    assert found.head.evidence["value"] == pytest.approx(expected)
    assert found.predictions.shape == found.baseline.shape == (2, 80)


def test_binary_recovers_signal_and_beats_chance():
    x, y = sexes()
    evidence = probe.fit(x, cohort(y, SEX), folds=4, repeats=2).head.evidence
    assert evidence["metric"] == "AUC"
    assert evidence["value"] > 0.8
    assert evidence["baseline"] == 0.5
    assert evidence["beats_baseline"] is True
    assert evidence["interval"][0] > 0.5


@pytest.mark.parametrize("seed", [1, 2])
def test_noise_does_not_beat_the_baseline(seed):
    x, y = ages(signal=0.0, seed=seed)
    evidence = probe.fit(x, cohort(y, AGE), folds=4, repeats=2).head.evidence
    assert evidence["beats_baseline"] is False
    assert evidence["value"] > 0.9 * evidence["baseline"]
    x, y = sexes(signal=0.0, seed=seed)
    evidence = probe.fit(x, cohort(y, SEX), folds=4, repeats=2).head.evidence
    assert evidence["beats_baseline"] is False


def test_repeated_scans_of_a_subject_do_not_leak():
    """Each subject has a fingerprint that says nothing of age: random folds look brilliant."""
    rng = np.random.default_rng(0)
    y = np.repeat(rng.uniform(20, 80, 20), 4)
    x = np.repeat(rng.normal(size=(20, 60)), 4, axis=0) + 0.01 * rng.normal(size=(80, 60))
    leaky = probe.fit(x, cohort(y, AGE), folds=4, repeats=1).head.evidence
    honest = probe.fit(x, cohort(y, AGE, scans_each=4), folds=4, repeats=1).head.evidence
    assert leaky["beats_baseline"] is True
    assert honest["beats_baseline"] is False
    assert (honest["n"], honest["n_subjects"]) == (80, 20)


def test_brain_volume_stands_beside_the_head():
    x, y = sexes(signal=0.0)
    rng = np.random.default_rng(0)
    volumes = 1200 + 200 * y + rng.normal(0, 60, len(y))
    found = probe.fit(x, cohort(y, SEX), folds=4, repeats=1, brain_volume_ml=list(volumes))
    beside = found.head.evidence["brain_volume"]
    assert beside["value"] > 0.9
    assert beside["head_is_better"] is False
    x, y = ages()
    volumes = 1200 + rng.normal(0, 60, len(y))
    found = probe.fit(x, cohort(y, AGE), folds=4, repeats=1, brain_volume_ml=list(volumes))
    assert found.head.evidence["brain_volume"]["head_is_better"] is True


@pytest.mark.parametrize(("task", "data"), [(AGE, ages), (SEX, sexes)], ids=["age", "sex"])
def test_the_linear_model_of_the_smoothed_scan_is_judged_in_the_folds_of_the_head(task, data):
    x, y = data(40)
    whole, scans = cohort(y, task), np.c_[y, np.random.default_rng(0).normal(size=(40, 50))]
    gram = scans @ scans.T
    found = probe.fit(x, whole, seed=3, folds=4, repeats=2, gram=gram)
    plans = [splits.by_subject(whole, 4, seed) for seed in (3, 4)]
    said = smoothed_scan.out_of_fold(gram, whole, plans)
    fold = np.stack([splits.fold_of(plan, 40) for plan in plans])
    beside = found.head.evidence["smoothed_scan"]
    assert beside["value"] == pytest.approx(evidence.figure(whole, said, fold))
    between = evidence.difference(whole, found.predictions, said, fold)
    assert beside["difference_interval"] == pytest.approx(between[1:])
    assert probe.fit(x, whole, folds=4, repeats=1).head.evidence["smoothed_scan"] is None


def test_equal_seeds_give_equal_heads():
    x, y = ages()
    first, again = (probe.fit(x, cohort(y, AGE), seed=3, folds=4, repeats=1) for _ in range(2))
    assert first.head.evidence == again.head.evidence
    assert np.array_equal(first.head.weight, again.head.weight)


def test_unusable_cohorts_are_refused():
    x, y = ages(20)
    for labels, task, words in (
        (np.full(20, 40.0), AGE, "the same"),
        (np.zeros(20), SEX, "the same|class M"),
        (np.arange(20) < 3, SEX, "3 subjects of class M"),
    ):
        with pytest.raises(InputError, match=words):
            probe.fit(x, cohort(labels, task))
    with pytest.raises(InputError, match="5 subjects are too few"):
        probe.fit(x, cohort(y, AGE, scans_each=4))
    with pytest.raises(InputError, match="embedding"):
        probe.fit(x[:-1], cohort(y, AGE))


def test_head_file_round_trip_and_damage(tmp_path):
    x, y = ages()
    found = probe.fit(x, cohort(y, AGE), folds=4, repeats=1, encoder_sha256="abc").head
    path = found.save(tmp_path / "age.json")
    loaded = head.load(path)
    assert (loaded.task, loaded.bias, loaded.evidence) == (AGE, found.bias, found.evidence)
    assert (loaded.encoder_sha256, loaded.sample) == ("abc", found.sample)
    np.testing.assert_array_equal(loaded.weight, found.weight)
    assert [p.name for p in tmp_path.iterdir()] == ["age.json"]
    for text in (
        "{",
        "[]",
        '{"format": 2}',
        path.read_text(encoding="utf-8").replace('"bias"', '"bios"'),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=r"age\.json"):
            head.load(path)
    with pytest.raises(InputError, match="does not exist"):
        head.load(tmp_path / "no.json")
    with pytest.raises(InputError, match="cannot write"):
        found.save(tmp_path / "no" / "age.json")


@pytest.mark.filterwarnings("error")
def test_classes_that_come_apart_far_out_have_a_finite_loss():
    """Probabilities of 1e-400 are 0, whose logarithm would rule a strength out."""
    x = np.linspace(-1.0, 1.0, 40)[:, None]
    y = (x[:, 0] > 0.0).astype(float)
    model = LogisticRegression(C=1e6, max_iter=1000).fit(x, y)
    far = np.array([[1e4], [-1e4]])
    z = model.decision_function(far)
    assert probe._loss(model, far, np.array([0.0, 1.0])) == pytest.approx(np.abs(z).mean())
    several = np.digitize(x[:, 0], [-0.5, 0.5]).astype(float)
    model = LogisticRegression(C=1e6, max_iter=1000).fit(x, several)
    assert np.isfinite(probe._loss(model, far, np.array([0.0, 2.0])))
    near = x[::7]
    likely = model.predict_log_proba(near)[np.arange(len(near)), several[::7].astype(int)]
    assert probe._loss(model, near, several[::7]) == pytest.approx(-likely.mean())
