"""Figures of sites left out, against heads fitted by hand; and what harmonising does to them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fmtool.task import AGE, SEX, Task
from tests.training.harmonise.share import cohort, planted
from training import evidence, probe
from training.cohort import Cohort
from training.evidence import confounded, sites
from training.harmonise import Harmoniser

STAGE = Task("stage", "multiclass", "probability", "stage", classes=("a", "b", "c"))


def least_squares(x, people):
    full = np.c_[x, np.ones(len(x))]
    found = np.linalg.lstsq(full, people.labels, rcond=None)[0]
    return found[:-1], float(found[-1])


def test_each_site_is_answered_by_a_head_of_the_others():
    x, people, _ = planted(sites=3, each=30)
    found = sites.left_out(x, people, least_squares)
    y, errors, medians = people.labels, [], []
    for k, one in enumerate(found["sites"]):
        test = np.arange(30 * k, 30 * k + 30)
        train = np.setdiff1d(np.arange(90), test)
        weight, bias = least_squares(x[train], people.take(train))
        errors.append(np.abs(x[test] @ weight + bias - y[test]))
        medians.append(np.abs(np.median(y[test]) - y[test]))
        assert (one["site"], one["n"], one["n_subjects"]) == (f"S{k}", 30, 30)
        assert one["value"] == pytest.approx(errors[k].mean())
        assert one["interval"][0] < one["value"] < one["interval"][1]
        assert one["baseline"] == pytest.approx(medians[k].mean())
        assert one["baseline_name"] == "the site's own median"
        assert one["beats_baseline"] == (one["difference_interval"][1] < 0)
    assert found["pooled"]["value"] == pytest.approx(np.mean(errors))
    assert found["pooled"]["baseline"] == pytest.approx(np.mean(medians))
    assert found["pooled"]["baseline_name"] == "each site's own median"


def test_areas_are_counted_within_sites():
    """Heads whose scores lie far apart: pooled across sites, the area would be of the sites."""
    people = cohort(
        np.r_[np.tile([0, 1], 10), np.tile([0, 1, 1, 1], 8)], ["A"] * 20 + ["B"] * 32, SEX
    )
    rng = np.random.default_rng(0)
    score = rng.normal(size=52) + people.labels

    def answering(train, test):
        return score[test] + 100.0 * (test[0] > 0)

    found = sites.leave_one_out(people, answering)
    each = [
        evidence.figure(people.take(rows), score[None, rows]) for rows in (range(20), range(20, 52))
    ]
    assert [one["value"] for one in found.told["sites"]] == pytest.approx(each)
    assert min(each) <= found.told["pooled"]["value"] <= max(each)
    assert found.told["pooled"]["baseline_name"] == "chance"


def test_classes_have_their_balanced_accuracy():
    labels = np.tile([0, 1, 2], 24)
    people = cohort(labels, np.repeat(["A", "B", "C"], 24), STAGE)
    x = np.eye(3)[labels] * 2 + np.random.default_rng(0).normal(size=(72, 3))
    found = sites.left_out(x, people, probe.fit_affine)
    assert [one["metric"] for one in found["sites"]] == ["macro AUC"] * 3
    assert found["pooled"]["balanced_accuracy"]["value"] > 0.6
    assert json.dumps(found, allow_nan=False)


def test_people_of_two_sites_are_not_learnt_from_when_either_is_left_out():
    _, people, _ = planted(sites=2, each=30)
    rows = list(people.rows)
    twice = Cohort(people.path, AGE, [*rows, *(_moved(row) for row in rows[:5])])
    fitted = []

    def answering(train, test):
        fitted.append((set(train.tolist()), set(test.tolist())))
        return np.zeros(len(test))

    sites.leave_one_out(twice, answering)
    assert fitted[0] == (set(range(30, 60)), set(range(30)))
    assert fitted[1] == (set(range(5, 30)), set(range(30, 65)))


def _moved(row):
    return replace(row, site="S1", image=Path(f"again-{row.image}"))


def test_a_site_that_is_too_small_is_named_and_counts_pooled():
    x, people, _ = planted(sites=3, each=30)
    some = [*range(60), *range(60, 65)]
    found = sites.left_out(x[some], people.take(some), least_squares)
    small = found["sites"][2]
    assert "value" not in small
    assert small["n"] == 5
    assert "5 subjects are too few for a figure of age; 12 are needed" in small["too_small"]
    assert found["pooled"]["value"] != pytest.approx(
        np.mean([one["value"] for one in found["sites"][:2]])
    )
    # And without a site, the others may be too few to fit on.
    some = [*range(30), *range(60, 65)]
    found = sites.left_out(x[some], people.take(some), least_squares)
    assert found["sites"][0]["too_small"].startswith("without it, 5 subjects are too few")


def test_one_site_has_no_such_figures_and_sites_of_one_class_no_pooled_one():
    x, people, _ = planted(sites=1, each=40)
    assert sites.left_out(x, people, least_squares) is None
    apart = cohort(np.repeat([0, 1], 20), ["A"] * 20 + ["B"] * 20, SEX)
    found = sites.left_out(x, apart, probe.fit_affine)
    assert found is None or found["pooled"] is None


def test_the_probe_tells_them_in_its_evidence():
    x, people, _ = planted()
    told = probe.fit(x, people, folds=4, repeats=1).head.evidence
    expected = sites.left_out(x, people, probe.fit_affine)
    assert told["leave_one_site_out"] == expected
    assert "harmonised" not in told
    alone = probe.fit(x[:20], people.take(range(20)), folds=4, repeats=1).head.evidence
    assert "leave_one_site_out" not in alone


def test_a_site_effect_that_is_taken_away_makes_the_errors_of_sites_left_out_fall():
    x, people, _ = planted(sites=4, each=30, shift=3.0)
    found = probe.fit(x, people, folds=4, repeats=1, by_site=Harmoniser(people))
    told = found.head.evidence
    plain = sites.left_out(x, people, probe.fit_affine)["pooled"]["value"]
    left_out = told["leave_one_site_out"]
    assert left_out["without"]["value"] == pytest.approx(plain)
    assert left_out["own_scans"]["pooled"]["value"] < 0.7 * plain
    assert left_out["own_scans"]["pooled"]["beats_baseline"]
    without = probe.fit(x, people, folds=4, repeats=1).head.evidence
    assert told["harmonised"]["without"]["value"] == pytest.approx(without["value"])
    assert told["harmonised"]["sites"] == ["S0", "S1", "S2", "S3"]
    assert told["harmonised"]["confounding"]["strong"] is False
    assert json.dumps(told, allow_nan=False)


def test_a_label_that_follows_the_site_is_warned_of():
    _, people, _ = planted(sites=3, each=40, older=2.0)
    found = confounded.measure(people)
    assert found["metric"] == "correlation"
    assert found["value"] > 0.8
    assert "The site alone tells age with correlation 0.8" in confounded.warning(found, AGE)
    y = np.r_[np.arange(40) < 36, np.arange(40) < 4]
    found = confounded.measure(cohort(y, ["A"] * 40 + ["B"] * 40, SEX))
    assert found == {"metric": "AUC", "value": pytest.approx(0.9), "strong": True}
    _, people, _ = planted(sites=3, each=40)
    assert confounded.warning(confounded.measure(people), AGE) is None
