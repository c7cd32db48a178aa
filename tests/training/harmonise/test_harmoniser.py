"""Sites are estimated by training rows alone, and the label's effect stays."""

from __future__ import annotations

import numpy as np
import pytest

from fmtool.errors import InputError
from fmtool.task import AGE, SEX
from tests.training.harmonise.share import cohort, planted
from training import probe
from training.evidence import splits
from training.harmonise import Harmoniser, combat


def of_fold(x, people, train):
    """The maps of a training part and the head fitted on what they make of it."""
    harmoniser = Harmoniser(people)
    maps = harmoniser.estimated(x, train)
    seen = maps(x, harmoniser.sites)[train]
    return maps.to_dict(), probe.fit_affine(seen, people.take(train))


@pytest.mark.parametrize("task", [AGE, SEX], ids=["age", "sex"])
def test_nothing_of_the_test_fold_reaches_the_training_folds_sites_or_head(task):
    x, people, _ = planted(older=0.3, task=task)
    train, test = splits.by_subject(people, 4, 0)[0]
    maps, (weight, bias) = of_fold(x, people, train)
    rng = np.random.default_rng(1)
    labels = people.labels.copy()
    labels[test] = rng.permutation(labels[test])
    assert (labels != people.labels).any()
    others = x.copy()
    others[test] = 100 * rng.normal(size=others[test].shape)
    for changed, again in ((x, people.relabelled(labels)), (others, people)):
        same, (w, b) = of_fold(changed, again, train)
        assert same == maps
        assert np.array_equal(w, weight)
        assert b == bias
    moved = x.copy()
    moved[train[0]] += 1.0  # what a training row is does reach them
    assert of_fold(moved, people, train)[0] != maps


def test_the_probes_own_folds_are_these():
    x, people, _ = planted(older=0.3)
    harmoniser = Harmoniser(people)
    found = probe.fit(x, people, folds=4, repeats=1, by_site=harmoniser)
    labels = people.labels.copy()
    for k, (train, test) in enumerate(splits.by_subject(people, 4, 0)):
        maps, (weight, bias) = of_fold(x, people, train)
        assert found.head.harmonised.folds[k].to_dict() == maps
        expected = harmoniser.estimated(x, train)(x, harmoniser.sites)[test] @ weight + bias
        np.testing.assert_allclose(found.predictions[0][test], expected)
    assert np.abs(found.predictions[0] - labels).mean() == pytest.approx(
        found.head.evidence["value"]
    )


def test_a_rows_own_label_does_not_reach_its_map():
    """The map is its site's: two rows of a site and one embedding come out alike."""
    x, people, _ = planted()
    x[1] = x[0]
    maps = Harmoniser(people).estimated(x, np.arange(len(x)))
    first, second = maps(x, Harmoniser(people).sites)[:2]
    assert people.labels[0] != people.labels[1]
    assert np.array_equal(first, second)


def test_the_sites_shift_goes_and_the_labels_effect_stays_although_sites_are_older():
    x, people, effect = planted(sites=3, each=80, older=1.0)
    harmoniser = Harmoniser(people)
    harmonised = harmoniser.estimated(x, np.arange(len(x)))(x, harmoniser.sites)
    level = (people.labels - 50) / 10
    design = np.c_[np.ones(len(x)), level]
    slope = np.linalg.lstsq(design, harmonised, rcond=None)[0][1]
    before = np.linalg.lstsq(design, x, rcond=None)[0][1]
    assert np.corrcoef(slope, effect)[0, 1] > 0.95 > 0.8 > np.corrcoef(before, effect)[0, 1]
    sites = np.unique(harmoniser.sites, return_inverse=True)[1]
    residual = harmonised - design @ np.linalg.lstsq(design, harmonised, rcond=None)[0]
    left = [np.abs(residual[sites == k].mean(axis=0)).max() for k in range(3)]
    assert max(left) < 0.5  # of a planted 2


def test_a_site_that_is_not_known_stays_as_it_is():
    x, people, _ = planted()
    maps = Harmoniser(people).estimated(x, np.arange(len(x)))
    assert np.array_equal(maps(x[:2], ["elsewhere", "S0"])[0], x[0])
    assert not np.allclose(maps(x[:2], ["elsewhere", "S0"])[1], x[1])


def test_one_training_site_has_nothing_to_be_harmonised_to():
    x, people, _ = planted(sites=2)
    assert Harmoniser(people).estimated(x, np.arange(20)).affine == {}


def test_a_new_site_is_harmonised_by_its_other_half_without_labels():
    x, people, _ = planted(sites=3, each=40)
    train, test = np.arange(80), np.arange(80, 120)
    harmoniser = Harmoniser(people)
    found = harmoniser.without_labels(x, train, test)
    alpha = combat.estimate(x[train], harmoniser.sites[:80], people.labels[train, None]).alpha
    assert (
        np.abs(found.mean(axis=0) - alpha).max() < 0.5 < np.abs(x[test].mean(axis=0) - alpha).max()
    )
    labels = people.labels.copy()
    labels[test] = 20.0
    again = Harmoniser(people.relabelled(labels)).without_labels(x, train, test)
    assert np.array_equal(found, again)
    other = x.copy()
    other[test[0]] += 50.0  # moves the other half's map, and not its own
    moved = harmoniser.without_labels(other, train, test)
    scale = (moved[0] - found[0]) / 50.0
    assert (scale > 0.2).all()


def test_cohorts_that_must_not_be_harmonised_are_refused():
    x, people, _ = planted()
    with pytest.raises(InputError, match="come from S0: there is nothing"):
        Harmoniser(people.take(range(20)))
    with pytest.raises(InputError, match="no site for 1 rows, such as line 82"):
        Harmoniser(cohort([*people.labels, 50.0], [*(r.site for r in people.rows), None]))
    with pytest.raises(InputError, match="site S1 has 2 subjects in the table"):
        Harmoniser(people.take(range(22)))
    labels = np.r_[np.arange(20) % 2, np.ones(20)]
    with pytest.raises(InputError, match="all scans of site S1 in the table are of class M"):
        Harmoniser(cohort(labels, ["S0"] * 20 + ["S1"] * 20, SEX))
    train = np.r_[np.arange(20), [20, 21]]
    with pytest.raises(InputError, match="site S1 has 2 subjects in a training part"):
        Harmoniser(people).estimated(x, train)
