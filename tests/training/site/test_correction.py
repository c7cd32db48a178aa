"""What a site's controls carry: nothing, an offset, or a slope."""

from __future__ import annotations

import numpy as np
import pytest

from training.site import correction


def made(count, slope=1.0, offset=0.0, noise=5.0, seed=0):
    """Values of a head and the truth of as many subjects."""
    rng = np.random.default_rng(seed)
    values = rng.uniform(20.0, 70.0, count)
    return values, slope * values + offset + rng.normal(0.0, noise, count)


def test_a_site_off_by_twelve_years_gets_an_offset():
    values, truth = made(20, offset=-12.0)
    found = correction.fit(values, truth)
    assert (found.kind, found.slope) == ("offset", 1.0)
    assert found.offset == pytest.approx(float(np.mean(truth - values)))
    assert found.mean_interval[0] < -12.0 < found.mean_interval[1]
    assert found(30.0) == pytest.approx(30.0 + found.offset)


def test_a_slope_is_taken_where_it_is_seen():
    values, truth = made(40, slope=0.5, offset=20.0, noise=2.0)
    found = correction.fit(values, truth)
    assert found.kind == "slope"
    assert found.slope == pytest.approx(0.5, abs=0.1)
    assert np.mean([found(v) for v in values]) == pytest.approx(truth.mean())


def test_agreement_is_the_usual_finding_where_nothing_is_off():
    kinds = [correction.fit(*made(20, seed=seed)).kind for seed in range(300)]
    assert kinds.count("agreement") / 300 > 0.87  # two tests of 5 % each
    assert correction.fit(*made(20, seed=1))(41.5) == 41.5


def test_values_that_say_nothing_become_the_sites_mean():
    values, truth = made(60, slope=-0.5, offset=60.0, noise=1.0)
    found = correction.fit(values, truth)
    assert (found.kind, found.slope, found.offset) == ("slope", 0.0, pytest.approx(truth.mean()))


def test_values_all_the_same_carry_no_slope():
    truth = np.random.default_rng(0).normal(40.0, 5.0, 12)
    found = correction.fit(np.full(12, 30.0), truth)
    assert found.slope_interval is None
    assert (found.kind, found.slope) == ("offset", 1.0)


def test_a_few_far_values_carry_no_slope():
    """They alone draw the least squares from 1; those left out are told worse by it."""
    values, truth = made(20, offset=-12.0, noise=1.0)
    values[:2], truth[:2] = (95.0, 98.0), (30.0, 34.0)
    found = correction.fit(values, truth)
    assert found.slope_interval is not None
    assert found.slope_interval[1] < 1.0
    assert (found.kind, found.slope) == ("offset", 1.0)
