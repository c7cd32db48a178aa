"""What a site's controls carry: the line through them, some of it, or nothing."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from training.site import correction


def made(count, slope=1.0, offset=0.0, noise=5.0, seed=0):
    """Values of a head and the truth of as many subjects."""
    rng = np.random.default_rng(seed)
    values = rng.uniform(20.0, 70.0, count)
    return values, slope * values + offset + rng.normal(0.0, noise, count)


@pytest.mark.parametrize("seed", range(4))
def test_it_is_the_least_squares_line_shrunk_by_its_f(seed):
    values, truth = made(20, 0.9, 8.0, seed=seed)
    found = correction.fit(values, truth)
    line = stats.linregress(values, truth)
    left = np.sum((truth - line.slope * values - line.intercept) ** 2)
    f = (np.sum((truth - values) ** 2) - left) / 2 / (left / 18)
    assert found.kept == pytest.approx(max(0.0, 1.0 - 1.0 / f))
    assert found.agrees == (stats.f.sf(f, 2, 18) > 0.05)
    by_line = line.slope * 41.5 + line.intercept
    assert found(41.5) == pytest.approx(41.5 + found.kept * (by_line - 41.5))
    reach = stats.t.ppf(0.975, 18) * line.stderr
    assert found.slope_interval == pytest.approx((line.slope - reach, line.slope + reach))


def test_a_site_off_by_twelve_years_is_moved_by_them():
    values, truth = made(20, offset=-12.0)
    found = correction.fit(values, truth)
    assert not found.agrees
    assert found.kept > 0.95
    assert found.slope == pytest.approx(1.0, abs=0.15)
    assert found.mean_interval[0] < -12.0 < found.mean_interval[1]
    assert found(45.0) == pytest.approx(33.0, abs=2.5)


def test_a_slope_is_taken_where_it_is_seen():
    values, truth = made(40, slope=0.5, offset=20.0, noise=2.0)
    found = correction.fit(values, truth)
    assert found.slope == pytest.approx(0.5, abs=0.1)
    assert np.mean([found(v) for v in values]) == pytest.approx(truth.mean(), abs=0.2)


def test_agreement_is_the_usual_finding_where_nothing_is_off():
    many = [correction.fit(*made(20, seed=seed)) for seed in range(300)]
    assert np.mean([one.agrees for one in many]) == pytest.approx(0.95, abs=0.04)
    assert np.mean([one.kept == 0.0 for one in many]) > 0.5
    unmoved = next(one for one in many if one.kept == 0.0)
    assert unmoved(41.5) == 41.5


def test_over_sites_it_errs_less_than_the_line_where_little_is_off_and_hardly_more_elsewhere():
    """Of twenty controls; by the mean square over new people, where the truth is known."""
    grid = np.linspace(20.0, 70.0, 51)
    for slope, offset, worst in (
        (1.0, 0.0, 0.5),
        (1.0, 2.0, 1.2),
        (0.8, 8.0, 1.5),
        (0.6, 15.0, 1.2),
    ):
        errors = []
        for seed in range(200):
            values, truth = made(20, slope, offset, seed=seed)
            line, wanted = stats.linregress(values, truth), slope * grid + offset
            mean = (truth - values).mean()
            one = correction.fit(values, truth)
            guesses = (one.slope * grid + one.offset, line.slope * grid + line.intercept)
            errors.append([np.mean((g - wanted) ** 2) for g in (*guesses, grid + mean, grid)])
        ours, by_line, by_offset, as_it_is = np.mean(errors, axis=0)
        assert ours < worst * by_line
        assert ours < 1.01 * max(by_offset, as_it_is)


def test_values_that_say_nothing_become_the_sites_mean():
    values, truth = made(60, slope=-0.5, offset=60.0, noise=1.0)
    found = correction.fit(values, truth)
    assert found.slope == pytest.approx(0.0, abs=0.01)
    assert found(20.0) == pytest.approx(truth.mean(), abs=0.5)


def test_values_all_the_same_carry_no_slope():
    truth = np.random.default_rng(0).normal(40.0, 5.0, 12)
    found = correction.fit(np.full(12, 30.0), truth)
    assert found.slope_interval is None
    assert found.slope == 1.0
    assert 0.0 < found.offset < float(truth.mean()) - 30.0


def test_a_head_that_is_right_or_off_by_the_same_everywhere():
    values = np.linspace(20.0, 70.0, 12)
    right, off = correction.fit(values, values), correction.fit(values, values + 3.0)
    assert (right.agrees, right.kept, right(33.0)) == (True, 0.0, 33.0)
    assert not off.agrees
    assert off(33.0) == pytest.approx(36.0)
