"""A head at a made site: what is told of it, and what its intervals and sets then hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from export.parts import site as words
from export.parts import site_page
from fmtool import task
from fmtool.errors import InputError, UsageError
from runtime.trust import classes
from runtime.trust.interval import interval
from training.cohort import Cohort, Row
from training.evidence import evaluate
from training.site.answers import SiteAnswers
from training.site.calibrate import SiteHead, _check_enough, calibrate


@pytest.fixture(autouse=True)
def few_samples(monkeypatch):
    """Of the bootstrap, which is not looked at here."""
    monkeypatch.setattr(evaluate, "SAMPLES", 20)


def test_a_site_that_is_off_is_moved_and_covered(demo, site):
    found = calibrate(site(20, offset=-12.0), demo)
    assert not found.agrees
    assert found.correction.kept > 0.9
    told = found.evidence["site"]
    assert told["before"]["value"] > 9.0 > told["after"]["value"]
    assert told["before"]["mean_error"] == pytest.approx(12.0, abs=4.0)
    assert found.evidence["beats_baseline"]
    assert found.evidence["parent"] == demo.evidence("age")
    assert found.trust.novelty is not None


def test_intervals_cover_on_average_over_sites(demo, site):
    held = []
    for seed in range(6):
        found = calibrate(site(20, offset=-12.0, seed=seed), demo)
        others = site(100, offset=-12.0, seed=100 + seed)
        for x, y in zip(others.embeddings, others.cohort.labels, strict=True):
            span = interval(found.trust.folds, x, 0.9)
            held.append(span.low <= y <= span.high)
    assert 0.8 < np.mean(held) < 0.97


def test_a_site_in_agreement_keeps_its_values(demo, site):
    found = calibrate(site(20), demo)
    assert found.agrees
    assert found.correction.kept < 0.8  # as much as an F that is not significant leaves
    np.testing.assert_allclose(found.before, found.after, atol=4.0)


def test_scans_of_one_subject_count_once(demo, site):
    found = calibrate(site(10, offset=-12.0, scans=3), demo)
    assert found.evidence["n_subjects"] == 10
    assert found.trust.folds.subjects == pytest.approx(10.0)
    assert len(found.trust.folds.bias) == 10  # a subject's scans are left out together


def test_too_few_are_refused(demo, site):
    with pytest.raises(InputError, match=r"8 subjects are too few .* 9 are needed"):
        calibrate(site(8), demo)
    calibrate(site(9), demo)
    one_class = site(40, task.SEX, offset=8.0)
    with pytest.raises(InputError, match="subjects of class F are too few"):
        calibrate(one_class, demo)


def test_a_binary_site_gets_its_own_prior(demo, site):
    answers = site(120, task.SEX, offset=-4.0)
    found = calibrate(answers, demo)
    told = found.evidence["site"]
    assert told["kind"] == "probability"
    assert told["after"]["log_loss"] < told["before"]["log_loss"]
    share = float(answers.cohort.labels.mean())
    mean = np.mean([found.trust.probability(z) for z in found.trust.folds.score])
    assert mean == pytest.approx(share, abs=0.05)  # Platt's targets pull to one half
    others = site(600, task.SEX, offset=-4.0, seed=1)
    labels = others.cohort.labels
    held = np.array(
        [
            int(y)
            in classes.members(
                classes.p_values(found.trust.folds, found.trust.labels, x, found.trust.by_class),
                0.9,
            )
            for x, y in zip(others.embeddings, labels, strict=True)
        ]
    )
    for value in (0.0, 1.0):
        assert held[labels == value].mean() > 0.7  # of a class that has fifteen subjects


def head_of_three(count, shift, seed=0):
    """A site whose classes follow a head's logits, moved by `shift`, and the head."""
    rng = np.random.default_rng(seed)
    weight, bias = 1.5 * np.eye(3, 8), np.array([0.5, 0.0, -0.5])
    x = rng.normal(size=(count, 8))
    logits = x @ weight.T + bias
    truth = (logits + np.asarray(shift) + rng.gumbel(size=(count, 3))).argmax(axis=1)
    rows = [
        Row(f"s{i}", Path(f"{i}.nii"), None, float(y), None, i + 2) for i, y in enumerate(truth)
    ]
    people = Cohort(Path("made.csv"), task.DIAGNOSIS, rows)
    answers = SiteAnswers(people, x, np.zeros(count), [], [], [None] * count)
    return SiteHead(answers, weight, bias, logits, 0)


def test_a_site_of_three_classes_gets_its_own_prior_and_sets_within_each():
    here = head_of_three(150, (-1.5, 0.0, 1.5))
    found = here.sorts(None, {})
    told, y = found.evidence["site"], here.cohort.labels
    assert told["kind"] == "probability"
    assert told["after"]["log_loss"] < told["before"]["log_loss"]
    shares = [float((y == c).mean()) for c in range(3)]
    assert told["prior"] == pytest.approx(shares)
    mean = found.trust.probabilities(here.values).mean(axis=0)
    assert mean == pytest.approx(shares, abs=0.02)
    assert found.trust.by_class
    assert all(0.8 < share <= 1.0 for share in told["after"]["coverage"].values())
    assert len(told["after"]["coverage"]) == 3
    new = head_of_three(900, (-1.5, 0.0, 1.5), seed=1)
    held = np.array(
        [
            int(c) in classes.members(found.trust.p_values(x), 0.9)
            for x, c in zip(new.answers.embeddings, new.cohort.labels, strict=True)
        ]
    )
    for c in range(3):
        assert 0.75 < held[new.cohort.labels == c].mean() <= 1.0
    said = " ".join(words.sentences(task.DIAGNOSIS, found.evidence))
    assert "CN has a share of" in said
    assert "AD has a share of" in said
    assert found.before.shape == found.after.shape == (150,)
    page = site_page.document(
        task.DIAGNOSIS, found.evidence, found.truth, found.before, found.after
    )
    assert "Probability of the true class, by class: CN, MCI, AD." in page
    assert page.count("<circle") == 300


def test_a_site_of_three_classes_in_agreement_keeps_the_probabilities():
    here = head_of_three(150, (0.0, 0.0, 0.0))
    found = here.sorts(None, {})
    assert found.agrees
    assert found.trust.probabilities.slope == 1.0
    np.testing.assert_array_equal(found.before, found.after)


def test_too_few_of_one_of_three_classes_are_refused():
    rows = head_of_three(60, (-4.0, 0.0, 0.0)).cohort
    with pytest.raises(InputError, match=r"subjects of class CN are too few to calibrate diagn"):
        _check_enough(rows)


def test_a_head_that_the_bundle_lacks_is_named(demo, site):
    answers = site(20)
    stroke = task.STROKE_SCALE
    cohort = type(answers.cohort)(answers.cohort.path, stroke, answers.cohort.rows)
    with pytest.raises(UsageError, match="stroke_scale"):
        calibrate(type(answers)(cohort, answers.embeddings, answers.brain_ml, [], [], []), demo)
